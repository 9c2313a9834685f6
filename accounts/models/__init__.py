"""What is stored about people, about notices to them, and about what they did."""

from accounts.models.audit import AuditAnchor, AuditEvent, AuditHead
from accounts.models.credentials import USE_FIELDS, Credential, CredentialPolicy
from accounts.models.keys import VirtualKey
from accounts.models.notices import NotificationChannel, OutboxMessage, Severity
from accounts.models.people import BusinessUnit, Environment, Membership, Project, User, UserManager
from accounts.models.personal_tokens import PersonalToken
from accounts.models.service_accounts import IdempotencyRecord, ServiceAccount
from accounts.models.sign_in import Authenticator, BackupCode, BackupCodes, PasswordLink, Session

__all__ = [
    "USE_FIELDS",
    "AuditAnchor",
    "AuditEvent",
    "AuditHead",
    "Authenticator",
    "BackupCode",
    "BackupCodes",
    "BusinessUnit",
    "Credential",
    "CredentialPolicy",
    "Environment",
    "IdempotencyRecord",
    "Membership",
    "NotificationChannel",
    "OutboxMessage",
    "PasswordLink",
    "PersonalToken",
    "Project",
    "ServiceAccount",
    "Session",
    "Severity",
    "User",
    "UserManager",
    "VirtualKey",
]
