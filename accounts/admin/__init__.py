"""The admin of people, projects and notices; other apps build their pages on what `governed` states."""

from django.contrib import admin
from django.http import HttpRequest

from accounts import access
from accounts.admin.acceptable_use import UsePolicyAdmin
from accounts.admin.audit import AuditEventAdmin
from accounts.admin.credential_policies import CredentialPolicyAdmin
from accounts.admin.directory import DirectoryGroupAdmin, DirectoryPersonAdmin
from accounts.admin.governed import STATE_COLOURS, GovernedAdmin, ReadOnlyAdmin, said
from accounts.admin.group_mappings import GroupMappingAdmin
from accounts.admin.identities import OidcIdentityAdmin
from accounts.admin.notices import NotificationChannelAdmin, OutboxMessageAdmin
from accounts.admin.people import BusinessUnitAdmin, ProjectAdmin, UserAdmin
from accounts.admin.requests import GrantRequestAdmin
from accounts.admin.rules import ApprovalRuleAdmin, DelegationAdmin
from accounts.admin.scim_tokens import ScimTokenAdmin
from accounts.admin.service_accounts import ServiceAccountAdmin


def _opens(request: HttpRequest) -> bool:
    return access.may_open_admin(request.user)


# Django asks a column; the role as it holds now is what counts.
admin.site.has_permission = _opens  # type: ignore[method-assign]

__all__ = [
    "STATE_COLOURS",
    "ApprovalRuleAdmin",
    "AuditEventAdmin",
    "BusinessUnitAdmin",
    "CredentialPolicyAdmin",
    "DelegationAdmin",
    "DirectoryGroupAdmin",
    "DirectoryPersonAdmin",
    "GovernedAdmin",
    "GrantRequestAdmin",
    "GroupMappingAdmin",
    "NotificationChannelAdmin",
    "OidcIdentityAdmin",
    "OutboxMessageAdmin",
    "ProjectAdmin",
    "ReadOnlyAdmin",
    "ScimTokenAdmin",
    "ServiceAccountAdmin",
    "UsePolicyAdmin",
    "UserAdmin",
    "said",
]
