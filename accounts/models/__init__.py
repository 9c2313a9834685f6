"""What is stored about people and about notices to them."""

from accounts.models.notices import NotificationChannel, OutboxMessage, Severity
from accounts.models.people import BusinessUnit, Environment, Membership, Project, User, UserManager, VirtualKey

__all__ = [
    "BusinessUnit",
    "Environment",
    "Membership",
    "NotificationChannel",
    "OutboxMessage",
    "Project",
    "Severity",
    "User",
    "UserManager",
    "VirtualKey",
]
