"""Who is calling with an access token of the OpenID provider: a person, for one of their projects. Fetches nothing; knows nothing of models or money."""

import hashlib

from accounts.oidc import tokens
from gateway.errors import BadKey, BadRequest, DependencyUnavailable, KeyExpired, KeySuspended, ProjectNotAllowed, ProjectSuspended
from gateway.plane.snapshot import Signer, Snapshot
from gateway.terms import Caller, Key, Person, Project

KNOWN_LIMIT = 10_000
KEY_ID_DIGITS = 15
MOST_NAMED = 20


class UnknownSigner(BadKey):
    """A token signed by a key that is not known here; the provider may have published it since."""


class Bearers:
    """Tokens whose signature was checked before. What is kept holds only under the very keys it was checked by, and says only who it is."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, int]] = {}
        self._signer: Signer | None = None

    def caller(self, token: bytes, wish: bytes, snapshot: Snapshot, now_s: float) -> Caller:
        """Return the caller a token stands for at `now_s` (Unix seconds) in the project that `wish` names, or the only one.

        Raises BadKey, UnknownSigner, KeyExpired, KeySuspended, ProjectNotAllowed, ProjectSuspended, BadRequest, DependencyUnavailable.
        """
        subject, expires_at_s = self._subject(token, snapshot, now_s)
        person = snapshot.people.get(snapshot.subjects.get(subject, ""))
        if person is None:
            raise BadKey("Your access token is good, but nobody here is linked to it. Sign in to the portal once, or ask an IT administrator.")
        if not person.is_active:
            raise KeySuspended("Your account is deactivated. Ask an IT administrator.")
        return _called(person, _chosen(person, wish, snapshot), expires_at_s)

    def _subject(self, token: bytes, snapshot: Snapshot, now_s: float) -> tuple[str, int]:
        """Return whom the provider means by a token, and until when it does."""
        signer = snapshot.signer
        if signer is None:
            raise BadKey("Access tokens are not taken here. Use a virtual key (sgw_vk_...).")
        if signer is not self._signer:
            self._known, self._signer = {}, signer
        name = hashlib.sha256(token).digest()
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= KNOWN_LIMIT:
                self._known.clear()
            found = self._known[name] = _verified(token, signer)
        if found[1] + tokens.LEEWAY_S <= now_s:
            raise KeyExpired("Your access token has expired. Get a new one from your identity provider.")
        return found


def _verified(token: bytes, signer: Signer) -> tuple[str, int]:
    told = signer.published
    try:
        claims = tokens.verify(token, signer.keys, issuer=told.issuer, audience=told.audience, algorithms=told.algorithms)
    except tokens.UnknownSigner as error:
        raise UnknownSigner(f"Your access token is not accepted. {error}") from error
    except tokens.TokenRefused as error:
        refusal = KeyExpired if error.code == "expired" else BadKey
        raise refusal(f"Your access token is not accepted. {error}") from error
    return claims["sub"], int(claims["exp"])


def _chosen(person: Person, wish: bytes, snapshot: Snapshot) -> Project:
    """Return the project a person calls for."""
    mine = {shown(project): project for project in person.projects}
    named = wish.decode("latin-1") or (next(iter(mine)) if len(mine) == 1 else "")
    if not mine:
        raise ProjectNotAllowed("You are in no project that makes calls. Ask to join one.")
    if not named:
        words = ", ".join(sorted(mine)[:MOST_NAMED])
        raise BadRequest(f"You are in several projects: say which one in the header x-sgw-project. Yours are {words}.", param="x-sgw-project")
    if named not in mine:
        raise ProjectNotAllowed("The header x-sgw-project names no project in which you make calls. Ids look like prj_ and 32 digits.", param="x-sgw-project")
    project = snapshot.projects.get(mine[named])
    if project is None:
        raise DependencyUnavailable("Your project is not loaded yet. Try again in a moment.", retry_after_s=1)
    if project.suspended:
        raise ProjectSuspended("This project is suspended. Ask its owner or your IT administrator.")
    return project


def shown(project: str) -> str:
    """Return a project's id as people and programs write it."""
    return f"prj_{project.replace('-', '')}"


def key_id(person: str, project: str) -> str:
    """Return what a person's own calls in a project are counted under, the same for every token; no virtual key has an id of this form."""
    return "u" + hashlib.sha256(f"{person} {project}".encode()).hexdigest()[:KEY_ID_DIGITS]


def _called(person: Person, project: Project, expires_at_s: int) -> Caller:
    """Return the caller, held to the budgets and limits of the project as a key of it is."""
    key = Key(
        id=key_id(person.id, project.id), name=person.name, digest=b"", pepper_version=0, project=project.id, models=None, state="active",
        expires_at_s=expires_at_s, environment=project.environment, person=person.id,
    )  # fmt: skip
    return Caller(key=key, project=project)
