"""How people prove who they are: sessions, authenticator apps, backup codes and links that set a new password. Passkeys are the library's."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django_otp.models import Device, DeviceManager, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP

from accounts.models.people import User

STEP_S = 30
DIGITS = 6
# One step to either side: clocks of telephones are not ours.
TOLERANCE_STEPS = 1


class Session(models.Model):
    """A browser's session. Its key is in the cookie alone: here stands the key's digest, so that a copy of the database opens nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    data = models.TextField(editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="sessions")
    how = models.CharField("signed in by", max_length=16, blank=True)
    ip = models.CharField("address", max_length=45, blank=True)
    agent = models.CharField("program", max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-last_seen_at",)
        indexes = (models.Index(fields=("user", "-last_seen_at"), name="session_by_user", condition=Q(user__isnull=False)),)

    @property
    def public_id(self) -> str:
        """Return the id that addresses name."""
        return f"ses_{self.pk.hex}"

    def __str__(self) -> str:
        return f"{self.agent or 'unknown program'} at {self.ip or 'unknown address'}"


class Authenticator(TimestampMixin, ThrottlingMixin, Device):
    """An app that shows a code of six digits (TOTP, RFC 6238). Its secret is sealed and bound to `secret_id`; a code counts once.

    One that is not confirmed yet is being set up, beside the one in use.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    secret_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sealed_secret = models.BinaryField(editable=False)
    last_step = models.BigIntegerField(default=-1, editable=False)

    objects: ClassVar[DeviceManager] = DeviceManager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "confirmed"), name="authenticator_once_per_user"),)

    def get_throttle_factor(self) -> int:
        """Return the seconds to wait after the first wrong code; each further one doubles them."""
        return 1

    def matching_step(self, secret: bytes, code: str) -> int | None:
        """Return the time step a code belongs to, none for a wrong code or one that is not newer than the last accepted."""
        if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
            return None
        clock = TOTP(secret, STEP_S, 0, DIGITS)
        clock.time = timezone.now().timestamp()
        return int(clock.t()) if clock.verify(int(code), TOLERANCE_STEPS, self.last_step + 1) else None


class BackupCodes(TimestampMixin, ThrottlingMixin, Device):
    """A person's set of single-use codes, for the day the other factor is not at hand."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")

    objects: ClassVar[DeviceManager] = DeviceManager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user",), name="backup_codes_once_per_user"),)

    def get_throttle_factor(self) -> int:
        """Return the seconds to wait after the first wrong code; each further one doubles them."""
        return 1


class BackupCode(models.Model):
    """One code, kept as a digest under the pepper; it is deleted when used."""

    codes = models.ForeignKey(BackupCodes, on_delete=models.CASCADE, related_name="unused")
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("codes", "digest"), name="backup_code_once"),)

    def __str__(self) -> str:
        return "a backup code"


class PasswordLink(models.Model):
    """A link that sets a new password once: made by an administrator, or wished for by e-mail, in which case it is made when the mail goes out.

    The secret is in the link alone; here stands its digest. `user` is empty when nobody has the address that was typed; `wished_at_address` and
    `wished_in_network` say where a wish came from, so that one visitor's wishes are few.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="password_links")
    digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    issued_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    by_mail = models.BooleanField(default=False)
    wished_at_address = models.CharField(max_length=45, blank=True, editable=False)
    wished_in_network = models.CharField(max_length=49, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    mailed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(fields=("created_at",), name="password_link_to_mail", condition=Q(by_mail=True, mailed_at__isnull=True)),
            models.Index(fields=("wished_in_network", "created_at"), name="password_link_wished", condition=Q(by_mail=True)),
        )

    def __str__(self) -> str:
        return f"link for {self.user}"
