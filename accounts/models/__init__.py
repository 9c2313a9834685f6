"""What is stored about people, about what they ask for, about notices to them, and about what they did."""

from accounts.models.acceptable_use import Acceptance, UsePolicy
from accounts.models.audit import AuditAnchor, AuditEvent, AuditHead
from accounts.models.credentials import USE_FIELDS, Credential, CredentialPolicy
from accounts.models.directory import DirectoryGroup, DirectoryPerson, ScimToken
from accounts.models.identity import GroupGrant, GroupMapping, IssuerDocument, OidcIdentity
from accounts.models.keys import VirtualKey
from accounts.models.notices import NotificationChannel, OutboxMessage, Severity
from accounts.models.people import BusinessUnit, DataClass, Environment, Membership, Project, User, UserManager
from accounts.models.personal_tokens import PersonalToken
from accounts.models.requests import ApprovalStep, Decision, DecisionLink, GrantRequest, RequestNote
from accounts.models.rules import ApprovalRule, Approver, Delegation, RuleStep
from accounts.models.service_accounts import IdempotencyRecord, ServiceAccount
from accounts.models.sign_in import Authenticator, BackupCode, BackupCodes, PasswordLink, Session

__all__ = [
    "USE_FIELDS",
    "Acceptance",
    "ApprovalRule",
    "ApprovalStep",
    "Approver",
    "AuditAnchor",
    "AuditEvent",
    "AuditHead",
    "Authenticator",
    "BackupCode",
    "BackupCodes",
    "BusinessUnit",
    "Credential",
    "CredentialPolicy",
    "DataClass",
    "Decision",
    "DecisionLink",
    "Delegation",
    "DirectoryGroup",
    "DirectoryPerson",
    "Environment",
    "GrantRequest",
    "GroupGrant",
    "GroupMapping",
    "IdempotencyRecord",
    "IssuerDocument",
    "Membership",
    "NotificationChannel",
    "OidcIdentity",
    "OutboxMessage",
    "PasswordLink",
    "PersonalToken",
    "Project",
    "RequestNote",
    "RuleStep",
    "ScimToken",
    "ServiceAccount",
    "Session",
    "Severity",
    "UsePolicy",
    "User",
    "UserManager",
    "VirtualKey",
]
