"""What is stored about people and about notices to them."""

from accounts.models.notices import NotificationChannel, OutboxMessage, Severity
from accounts.models.people import BusinessUnit, Environment, Membership, Project, User, UserManager, VirtualKey
from accounts.models.service_accounts import IdempotencyRecord, ServiceAccount

__all__ = [
    "BusinessUnit",
    "Environment",
    "IdempotencyRecord",
    "Membership",
    "NotificationChannel",
    "OutboxMessage",
    "Project",
    "ServiceAccount",
    "Severity",
    "User",
    "UserManager",
    "VirtualKey",
]
