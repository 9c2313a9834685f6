"""The acceptable-use policy: publishing a version, accepting it, and who still has to. What stays closed until then, faces and makers of keys decide."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef

from accounts import audit
from accounts.models import Acceptance, UsePolicy, User


def current() -> UsePolicy | None:
    """Return the version that counts, None while none was published."""
    return UsePolicy.objects.first()


def awaited(user: User) -> UsePolicy | None:
    """Return the version the person still has to accept, None when they did or there is none."""
    accepted = Acceptance.objects.filter(user=user, policy=OuterRef("pk"))
    newest = UsePolicy.objects.annotate(is_accepted=Exists(accepted)).first()
    return None if newest is None or newest.__dict__["is_accepted"] else newest


def check(user: User) -> None:
    """Raise PermissionDenied while the person has not accepted the version that counts."""
    policy = awaited(user)
    if policy is not None:
        words = f"{user} has not accepted version {policy.version} of the acceptable-use policy. Read and accept it in the portal, at /acceptable-use."
        raise PermissionDenied(words)


def checked_text(text: str) -> str:
    """Return a text as it is published. Raises ValidationError for an empty one and for the one that counts already."""
    cleaned, present = text.replace("\0", "").replace("\r\n", "\n").strip(), current()
    if not cleaned:
        raise ValidationError("Write the policy.")
    if present is not None and present.text == cleaned:
        raise ValidationError(f"This is the text of version {present.version}. Change it, or leave it as it is.")
    return cleaned


@audit.act("use-policy.publish")
def publish(policy: UsePolicy, by: User | None) -> UsePolicy:
    """Store a text as the next version, which everybody is asked to accept. Raises ValidationError as `checked_text` does."""
    newest = UsePolicy.objects.select_for_update().first()  # of two at once, the second waits here and counts on
    policy.text = checked_text(policy.text)
    policy.version = newest.version + 1 if newest is not None else 1
    policy.published_by = by
    policy.full_clean()
    policy.save(force_insert=True)
    return policy


@audit.act("use-policy.accept")
def accept(user: User, version: int) -> Acceptance:
    """Note that a person accepts a version; twice is once. Raises ValidationError when it is not the one that counts: they read another."""
    policy = current()
    if policy is None or policy.version != version:
        raise ValidationError("There is a newer version of the policy. Read it, then accept it.")
    User.objects.select_for_update().get(pk=user.pk)  # two clicks at once: one row
    present = Acceptance.objects.filter(user=user, policy=policy).first()
    if present is not None:
        return present
    made = Acceptance(user=user, policy=policy)
    made.save(force_insert=True)
    return made
