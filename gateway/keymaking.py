"""Keys made and changed on behalf of somebody: never wider than their own rights, whatever face they came through."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError

from accounts import acceptable_use, access, credentials
from accounts import actions as account_actions
from accounts.access import Actor
from accounts.models import Project, User, VirtualKey
from gateway import actions

MAKE, CHANGE = "POST keys", "PATCH keys/{id}"


def refuse_unless_allowed(actor: Actor, route: str, key: VirtualKey) -> None:
    """Raise PermissionDenied unless the actor may take a route of the access matrix for a key, stored or drafted."""
    if not access.allows(actor, route, key.project, key):
        raise PermissionDenied("Your role does not allow this for this key. Developers manage their own keys, for dev and test; ask an owner of the project.")


def make_for(actor: Actor, *, project: Project, models: Sequence[str], **given: Any) -> tuple[VirtualKey, str]:
    """Make a key as somebody asks; return its row and its text, to be shown once. Raises PermissionDenied, ValidationError.

    Nobody makes or is given a key who has not accepted the acceptable-use policy. Left out, the environment is the project's, the expiry as
    late as policy and the actor's rights allow, and the owner the actor where their role makes only keys of their own.
    """
    person = actor if isinstance(actor, User) else None
    given.setdefault("environment", project.environment)
    if "owner" not in given and person is not None and access.level(person, project) == 0:
        given["owner"] = person
    owner = given.get("owner")
    draft = VirtualKey(project=project, environment=given["environment"], owner=owner)
    refuse_unless_allowed(actor, MAKE, draft)
    if owner is not None and owner != person and not access.members_of(project).filter(pk=owner.pk).exists():
        raise ValidationError({"owner": "This person has no role in the project. Add them first, or leave the owner out."})
    for party in {person, owner}:
        if party is not None:
            acceptable_use.check(party)
    check_models(actor, models, project)
    rights_end = access.rights_end(actor)
    given.setdefault("expires_at", credentials.latest_expiry(credentials.policy_of(draft), rights_end))
    return actions.create_virtual_key(project=project, models=models, created_by=person, rights_end=rights_end, **given)


def change_for(actor: Actor, key: VirtualKey, given: Mapping[str, Any]) -> VirtualKey:
    """Change fields of a key as somebody asks. Raises PermissionDenied, ValidationError."""
    refuse_unless_allowed(actor, CHANGE, key)
    if "models" in given:
        actions.check_key_models(given["models"])
        check_models(actor, [name for name in given["models"] if name not in key.models], key.project)
    for name, value in given.items():
        setattr(key, name, value)
    refuse_unless_allowed(actor, CHANGE, key)
    return account_actions.save_key(key, access.rights_end(actor))


def check_models(actor: Actor, names: Sequence[str], project: Project) -> None:
    """Raise ValidationError for models wider than the actor's own rights in the project."""
    held = access.models_within(actor, project)
    wider = [] if held is None else [name for name in names if name not in held]
    if wider:
        raise ValidationError({"models": f"No key of this project may use: {', '.join(wider)}. Ask for access to the model first."})


def rotate_for(actor: Actor, key: VirtualKey, overlap_hours: int) -> tuple[VirtualKey, str]:
    """Give a key a new secret; return its row and its text, to be shown once. Raises PermissionDenied, ValidationError."""
    refuse_unless_allowed(actor, "POST keys/{id}/rotate", key)
    return credentials.rotate(key, overlap=timedelta(hours=overlap_hours), **actions.newest_pepper())


def set_state_for(actor: Actor, key: VirtualKey, verb: str, *, reason: str = "", compromised: bool = False) -> bool:
    """Suspend, resume or revoke a key; return whether anything changed. Raises PermissionDenied, ValidationError."""
    refuse_unless_allowed(actor, f"POST keys/{{id}}/{verb}", key)
    state = {"suspend": VirtualKey.State.SUSPENDED, "resume": VirtualKey.State.ACTIVE, "revoke": VirtualKey.State.REVOKED}[verb]
    return account_actions.set_key_state(key, state, reason=reason, compromised=compromised, level=access.level(actor, key.project))
