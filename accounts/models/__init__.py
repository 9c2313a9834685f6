"""What is stored about people, about notices to them, and about what they did."""

from accounts.models.audit import AuditAnchor, AuditEvent, AuditHead
from accounts.models.notices import NotificationChannel, OutboxMessage, Severity
from accounts.models.people import BusinessUnit, Environment, Membership, Project, User, UserManager, VirtualKey
from accounts.models.service_accounts import IdempotencyRecord, ServiceAccount
from accounts.models.sign_in import Authenticator, BackupCode, BackupCodes, PasswordLink, Session

__all__ = [
    "AuditAnchor",
    "AuditEvent",
    "AuditHead",
    "Authenticator",
    "BackupCode",
    "BackupCodes",
    "BusinessUnit",
    "Environment",
    "IdempotencyRecord",
    "Membership",
    "NotificationChannel",
    "OutboxMessage",
    "PasswordLink",
    "Project",
    "ServiceAccount",
    "Session",
    "Severity",
    "User",
    "UserManager",
    "VirtualKey",
]
