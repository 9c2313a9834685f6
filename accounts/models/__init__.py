"""What is stored about people, about notices to them, and about what they did."""

from accounts.models.audit import AuditEvent, AuditHead
from accounts.models.notices import NotificationChannel, OutboxMessage, Severity
from accounts.models.people import BusinessUnit, Environment, Membership, Project, User, UserManager, VirtualKey
from accounts.models.service_accounts import IdempotencyRecord, ServiceAccount

__all__ = [
    "AuditEvent",
    "AuditHead",
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
