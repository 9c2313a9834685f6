"""Second factors of a person: authenticator app and backup codes, set up, checked, removed. Passkeys have a file of their own."""

import base64
import hmac
import secrets
import uuid
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django_otp.models import Device

from accounts import audit
from accounts.audit.watch import subject_of
from accounts.channels import sealer
from accounts.models import Authenticator, BackupCode, BackupCodes, User
from accounts.models.sign_in import DIGITS, STEP_S
from accounts.sessions import end_sessions

SECRET_BYTES = 20
CODES = 10
# Base32 in two groups of five: 50 bits a code, and no letter that is read for a digit.
CODE_BYTES = 7
CODE_CHARACTERS = 10
ISSUER = "Symbiosis Gateway"
WRONG = "This code is not right. Enter the one the app shows now; a code counts once."


@dataclass(frozen=True)
class Factors:
    """What a person can prove themselves with besides the password."""

    authenticator: Authenticator | None
    passkeys: int
    codes_left: int

    @property
    def is_any(self) -> bool:
        """Say whether there is a factor; backup codes alone are none."""
        return self.authenticator is not None or self.passkeys > 0


def passkeys_of(user: User) -> "QuerySet[Device]":
    """Return the passkeys of a person, newest last."""
    found: QuerySet[Device] = apps.get_model("django_otp_webauthn", "WebAuthnCredential")._default_manager.filter(user=user, confirmed=True).order_by("pk")
    return found


def factors_of(user: User) -> Factors:
    """Return what a person has set up."""
    return Factors(
        authenticator=Authenticator.objects.filter(user=user, confirmed=True).first(),
        passkeys=passkeys_of(user).count(),
        codes_left=BackupCode.objects.filter(codes__user=user).count(),
    )


def has_factor(user: User) -> bool:
    """Say whether a person has set up a second factor."""
    return Authenticator.objects.filter(user=user, confirmed=True).exists() or passkeys_of(user).exists()


def _bound_to(authenticator: Authenticator) -> bytes:
    return b"authenticator:" + authenticator.secret_id.bytes


def _secret(authenticator: Authenticator) -> bytes:
    """Return the secret in clear; raises SealBroken."""
    return sealer().open(bytes(authenticator.sealed_secret), _bound_to(authenticator))


def store_authenticator(user: User, secret: bytes, *, confirmed: bool) -> Authenticator:
    """Store a sealed secret in the place of the one of the same standing."""
    with audit.act():
        Authenticator.objects.filter(user=user, confirmed=confirmed).delete()
        made = Authenticator(user=user, name="Authenticator app", confirmed=confirmed, secret_id=uuid.uuid4())
        made.sealed_secret = sealer().seal(secret, _bound_to(made))
        made.save()
    return made


def has_secret(user: User, secret: bytes) -> bool:
    """Say whether a person's app has this secret."""
    found = Authenticator.objects.filter(user=user, confirmed=True).first()
    return found is not None and hmac.compare_digest(_secret(found), secret)


def begin_authenticator(user: User) -> str:
    """Return the secret of an app that is being set up, in base32: the one begun before, else a new one."""
    begun = Authenticator.objects.filter(user=user, confirmed=False).first()
    secret = _secret(begun) if begun else secrets.token_bytes(SECRET_BYTES)
    if begun is None:
        store_authenticator(user, secret, confirmed=False)
    return base64.b32encode(secret).decode()


def otpauth_url(user: User, secret: str) -> str:
    """Return what the QR code says."""
    told = urlencode({"secret": secret, "issuer": ISSUER, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_S}, quote_via=quote)
    return f"otpauth://totp/{quote(f'{ISSUER}:{user.email}')}?{told}"


@audit.act("factor.add")
def confirm_authenticator(user: User, code: str) -> Device:
    """Put the app that is being set up to use, in the place of an older one. Raises ValidationError for a wrong code."""
    begun = Authenticator.objects.select_for_update().filter(user=user, confirmed=False).first()
    step = begun.matching_step(_secret(begun), plain(code)) if begun else None
    if begun is None or step is None:
        raise ValidationError({"code": WRONG})
    for old in Authenticator.objects.filter(user=user, confirmed=True):
        old.delete()
    begun.confirmed, begun.last_step, begun.last_used_at = True, step, timezone.now()
    begun.save()
    return begun


@audit.act("factor.remove")
def remove_authenticator(user: User) -> None:
    """Take a person's app out of use."""
    for row in Authenticator.objects.filter(user=user):
        row.delete()


@audit.act("factor.reset")
def remove_factors(user: User) -> None:
    """Take every factor of a person out of use: they set up new ones at the next sign-in."""
    for row in (*Authenticator.objects.filter(user=user), *BackupCodes.objects.filter(user=user), *passkeys_of(user)):
        row.delete()
    audit.record("factor.reset", subject_of(user))


@audit.act("factor.reset")
def reset(user: User) -> None:
    """Do that for somebody who lost them, and end their sessions: whoever found them may be in one."""
    remove_factors(user)
    end_sessions(user)


@audit.act("factor.codes")
def new_backup_codes(user: User) -> list[str]:
    """Return ten new backup codes, which are kept nowhere in clear; the old ones no longer work."""
    codes, _ = BackupCodes.objects.get_or_create(user=user, defaults={"name": "Backup codes"})
    codes.unused.all().delete()
    made = [base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower()[:CODE_CHARACTERS] for _ in range(CODES)]
    BackupCode.objects.bulk_create(BackupCode(codes=codes, digest=_digest(user, code)) for code in made)
    audit.record("factor.codes", subject_of(user))
    return [f"{code[:5]}-{code[5:]}" for code in made]


def _digest(user: User, code: str) -> str:
    return hmac.new(settings.KEY_PEPPERS[1], b"backup-code:" + user.pk.bytes + code.encode(), "sha256").hexdigest()


def plain(code: str) -> str:
    """Return a code as it is compared: in small letters, without blanks and hyphens."""
    return "".join(code.split()).replace("-", "").lower()


def check_code(user: User, code: str) -> Device:
    """Return the factor that a code proves, using the code up. Raises ValidationError for a wrong code, and while wrong ones make it wait."""
    found, refusal = _checked(user, plain(code))
    if found is None:
        raise ValidationError({"code": refusal})
    return found


@transaction.atomic
def _checked(user: User, code: str) -> tuple[Device | None, str]:
    kind = Authenticator if len(code) == DIGITS and code.isdigit() else BackupCodes
    device = kind.objects.select_for_update().filter(user=user, confirmed=True).first()
    if device is None:
        return None, WRONG
    allowed, why = device.verify_is_allowed()
    if not allowed:
        wait_s = max(1, round((why["locked_until"] - timezone.now()).total_seconds()))
        return None, f"Too many wrong codes. Wait {wait_s} s, then enter a new one."
    if not _is_right(device, user, code):
        device.throttle_increment(commit=False)
        device.save(update_fields=["throttling_failure_timestamp", "throttling_failure_count"])
        return None, WRONG
    device.throttle_reset(commit=False)
    device.set_last_used_timestamp(commit=False)
    used = ["last_step"] if isinstance(device, Authenticator) else []
    device.save(update_fields=["throttling_failure_timestamp", "throttling_failure_count", "last_used_at", *used])
    return device, ""


def _is_right(device: Authenticator | BackupCodes, user: User, code: str) -> bool:
    if isinstance(device, BackupCodes):
        return bool(device.unused.filter(digest=_digest(user, code)).delete()[0])
    step = device.matching_step(_secret(device), code)
    if step is not None:
        device.last_step = step
    return step is not None
