"""Programs that manage the gateway: service accounts, and the answers kept so that a repeated request acts once."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models.credentials import Credential
from accounts.models.people import BusinessUnit, Project, User


class ServiceAccount(Credential):
    """A program's identity on the management API.

    It sees its project, or its business unit and everything below; without either it sees the whole platform. It acts where `owner`,
    the person who answers for it, would stand: what it asks for, the owner asked for.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="service_accounts")
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.PROTECT, null=True, blank=True, related_name="service_accounts")
    scopes = models.JSONField(default=list, help_text='Such as ["projects:read", "keys:write"]; writing does not include reading.')
    owner = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="owned_service_accounts", help_text="The person who answers for it."
    )
    purpose = models.CharField(max_length=400, blank=True)
    is_demo = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+")

    class Meta(Credential.Meta):
        abstract = False
        ordering = ("name",)
        constraints = (
            *Credential.Meta.constraints,
            models.CheckConstraint(
                condition=Q(project__isnull=True) | Q(business_unit__isnull=True),
                name="service_account_one_scope",
                violation_error_message="Choose a project or a business unit, not both; neither for the whole platform.",
            ),
            models.UniqueConstraint(Lower("name"), condition=~Q(state="revoked"), name="service_account_name_once"),
        )

    def __str__(self) -> str:
        return f"{self.name} (sgw_sa_{self.public_id}_…)"

    @property
    def is_authenticated(self) -> bool:
        """Say that this is no anonymous caller, as Django asks of whoever signs in."""
        return True

    @property
    def is_platform_wide(self) -> bool:
        """Say whether the account belongs to no project and no business unit."""
        return self.project_id is None and self.business_unit_id is None


class IdempotencyRecord(models.Model):
    """The answer to one request with an `Idempotency-Key`, sealed to the credential that asked, until it expires."""

    id = models.BigAutoField(primary_key=True)
    caller = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(default=0)
    sealed_answer = models.BinaryField(default=bytes)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint("caller", "key", name="idempotency_key_once_per_caller"),)

    def __str__(self) -> str:
        return f"{self.caller} {self.key}"
