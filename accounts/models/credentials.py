"""What every credential of the house keeps about itself, and how long each kind may live. Knows no key, token or caller."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Credential(models.Model):
    """A secret shown once: only keyed digests of it are stored.

    After a rotation `previous_digest` is good until `previous_until`. `suspended_level` is how high whoever suspended it stood
    (see accounts.access): only they or those above may resume it.
    """

    class State(models.TextChoices):
        """A revoked credential stays revoked."""

        ACTIVE = "active"
        SUSPENDED = "suspended"
        REVOKED = "revoked"

    public_id = models.CharField(max_length=10, unique=True, editable=False)
    name = models.CharField(max_length=200)
    digest = models.BinaryField(max_length=32, editable=False)
    pepper_version = models.PositiveSmallIntegerField(default=1, editable=False)
    previous_digest = models.BinaryField(max_length=32, null=True, editable=False)
    previous_pepper_version = models.PositiveSmallIntegerField(null=True, editable=False)
    previous_until = models.DateTimeField("old secret good until", null=True, editable=False)
    rotate_by = models.DateTimeField("to be rotated by", null=True, editable=False)
    rotated_at = models.DateTimeField(null=True, editable=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    state_reason = models.CharField("reason", max_length=400, blank=True, editable=False)
    state_changed_at = models.DateTimeField(null=True, editable=False)
    suspended_level = models.PositiveSmallIntegerField(default=0, editable=False)
    is_compromised = models.BooleanField("revoked as compromised", default=False, editable=False)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_ip = models.GenericIPAddressField("last used from", null=True, blank=True, editable=False)
    last_used_agent = models.CharField("last used by", max_length=200, blank=True, editable=False)

    class Meta:
        abstract = True
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.CheckConstraint(condition=Q(state__in=["active", "suspended", "revoked"]), name="%(class)s_state_known"),
            models.CheckConstraint(condition=~Q(name=""), name="%(class)s_named"),
            models.CheckConstraint(condition=Q(is_compromised=False) | Q(state="revoked"), name="%(class)s_compromised_is_revoked"),
            models.CheckConstraint(
                condition=Q(previous_digest__isnull=True, previous_pepper_version__isnull=True, previous_until__isnull=True)
                | Q(previous_digest__isnull=False, previous_pepper_version__isnull=False, previous_until__isnull=False),
                name="%(class)s_previous_secret_whole",
            ),
        )


# Fields that change by use alone: no configuration, no event of the trail.
USE_FIELDS = ("last_used_at", "last_used_ip", "last_used_agent")


class CredentialPolicy(models.Model):
    """How long one kind of credential may live, how long an old secret may stay good after a rotation, and when an unused one is suspended."""

    class Kind(models.TextChoices):
        """Virtual keys by environment, and the two kinds of token."""

        KEY_DEV = "key-dev", "virtual keys: dev"
        KEY_TEST = "key-test", "virtual keys: test"
        KEY_PROD = "key-prod", "virtual keys: prod"
        SERVICE_ACCOUNT = "service-account", "service accounts"
        PERSONAL_TOKEN = "personal-token", "personal tokens"
        SCIM_TOKEN = "scim-token", "SCIM tokens"

    kind = models.CharField(primary_key=True, max_length=16, choices=Kind.choices)
    longest_days = models.PositiveIntegerField("longest life (days)", default=365)
    longest_overlap_hours = models.PositiveIntegerField("longest overlap of a rotation (hours)", default=720)
    idle_days = models.PositiveIntegerField("suspend when unused for (days)", default=90, help_text="0: never.")

    class Meta:
        ordering = ("kind",)
        verbose_name_plural = "credential policies"
        constraints = (
            models.CheckConstraint(condition=Q(longest_days__gte=1, longest_days__lte=3650), name="credential_policy_life_possible"),
            models.CheckConstraint(condition=Q(longest_overlap_hours__lte=87600), name="credential_policy_overlap_possible"),
        )

    def __str__(self) -> str:
        return self.get_kind_display()
