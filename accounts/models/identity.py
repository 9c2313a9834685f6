"""Who people are elsewhere: at the OpenID provider and in its groups, what those groups give here, and what is known of the provider."""

import uuid

from django.db import models
from django.db.models import Q

from accounts.models.people import BusinessUnit, Membership, Project, User

PRIVILEGED_ROLES = frozenset({"it_admin", "security_officer"})


class OidcIdentity(models.Model):
    """A person at an OpenID provider: `subject` never changes there and is never given to somebody else, as e-mail addresses are.

    `groups` are the groups the provider named at the last sign-in, `external_id` what it said then in the claim that equals the directory's `externalId`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    groups = models.JSONField(default=list, blank=True, editable=False)
    external_id = models.CharField(max_length=255, blank=True, editable=False, db_index=True)
    linked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_sign_in_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "single sign-on identity"
        verbose_name_plural = "single sign-on identities"
        ordering = ("user__email", "issuer")
        constraints = (
            models.UniqueConstraint(
                "issuer", "subject", name="oidc_identity_once", violation_error_message="This identity belongs to a person already."
            ),
            models.CheckConstraint(condition=~Q(issuer="") & ~Q(subject=""), name="oidc_identity_whole"),
        )

    def __str__(self) -> str:
        return f"{self.user} as {self.subject} at {self.issuer}"


class GroupMapping(models.Model):
    """What a group of the directory or the OpenID provider gives its members: a platform role, or a role in one project or business unit."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.CharField(max_length=255, help_text="The group's name or id, exactly as the identity provider sends it.")
    role = models.CharField("platform role", max_length=32, choices=User.PlatformRole.choices, default=User.PlatformRole.NONE, blank=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, blank=True, related_name="group_mappings")
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.CASCADE, null=True, blank=True, related_name="group_mappings")
    place_role = models.CharField("role there", max_length=16, choices=Membership.Role.choices, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("group",)
        constraints = (
            models.CheckConstraint(condition=~Q(group=""), name="group_mapping_named"),
            models.CheckConstraint(
                condition=(
                    Q(role__in=["it_admin", "security_officer", "finance", "auditor"], project=None, business_unit=None, place_role="")
                    | Q(role="", project__isnull=False, business_unit=None, place_role__in=["owner", "developer", "viewer"])
                    | Q(role="", project=None, business_unit__isnull=False, place_role__in=["manager", "viewer"])
                ),
                name="group_mapping_gives_one_thing",
                violation_error_message="Choose a platform role, or a project (owner, developer, viewer), or a business unit (manager, viewer).",
            ),
            models.UniqueConstraint("group", condition=~Q(role=""), name="group_mapping_role_once"),
            models.UniqueConstraint("group", "project", condition=Q(project__isnull=False), name="group_mapping_project_once"),
            models.UniqueConstraint("group", "business_unit", condition=Q(business_unit__isnull=False), name="group_mapping_unit_once"),
        )

    def __str__(self) -> str:
        return f"{self.group} → {self.role or f'{self.place_role} of {self.project or self.business_unit}'}"

    @property
    def is_privileged(self) -> bool:
        """Say whether it gives a role that two people must agree to."""
        return self.role in PRIVILEGED_ROLES


class GroupGrant(models.Model):
    """Something a person has by a group and loses with it: the platform role, or one membership. What was changed by hand since is theirs to keep."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="group_grants")
    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, null=True, related_name="group_grant")
    role = models.CharField(max_length=32, help_text="As it was given.")

    class Meta:
        constraints = (
            models.UniqueConstraint("user", condition=Q(membership=None), name="group_grant_role_once"),
            models.CheckConstraint(condition=~Q(role=""), name="group_grant_of_something"),
        )

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"


class IssuerDocument(models.Model):
    """What an OpenID provider publishes about itself, as last fetched: where its endpoints are and by which keys it signs."""

    issuer = models.CharField(max_length=255, primary_key=True)
    discovery = models.JSONField(default=dict)
    keys = models.JSONField(default=dict)
    fetched_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.issuer
