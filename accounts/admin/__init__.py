"""The admin of people, projects and notices; other apps build their pages on what `governed` states."""

from accounts.admin.audit import AuditEventAdmin
from accounts.admin.governed import STATE_COLOURS, GovernedAdmin, ReadOnlyAdmin, said
from accounts.admin.notices import NotificationChannelAdmin, OutboxMessageAdmin
from accounts.admin.people import BusinessUnitAdmin, ProjectAdmin, UserAdmin
from accounts.admin.service_accounts import ServiceAccountAdmin

__all__ = [
    "STATE_COLOURS",
    "AuditEventAdmin",
    "BusinessUnitAdmin",
    "GovernedAdmin",
    "NotificationChannelAdmin",
    "OutboxMessageAdmin",
    "ProjectAdmin",
    "ReadOnlyAdmin",
    "ServiceAccountAdmin",
    "UserAdmin",
    "said",
]
