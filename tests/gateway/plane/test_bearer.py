"""Who an access token says is calling, from the snapshot alone."""

import time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from accounts.oidc import tokens
from gateway import errors
from gateway.plane.bearer import Bearers, UnknownSigner, key_id
from gateway.plane.identify import AccessToken, identify
from gateway.plane.snapshot import Published, Snapshot, Structure, Update, apply
from gateway.terms import Person
from tests.fakes.openid import AUDIENCE, OpenId

from . import builders

ISSUER = "https://id.example"
ONE, TWO = "6f9619ff-8b86-d011-b42d-00c04fc964ff", "7f9619ff-8b86-d011-b42d-00c04fc964ff"
ADA = Person(id="ada", name="ada@example.com", is_active=True, subjects=("sub-1",), projects=(ONE,))


def published(openid: OpenId) -> Published:
    return Published(issuer=ISSUER, audience=AUDIENCE, algorithms=("RS256",), keys=msgspec.json.encode(openid.page("/jwks")))


def snapshot(openid: OpenId, *people: Person, suspended: bool = False, current: Snapshot | None = None, whole: bool = True) -> Snapshot:
    projects = (builders.project(id=ONE, suspended=suspended), builders.project(id=TWO, environment="prod"))
    structure = Structure(accounts=(builders.sealed_account(),), models=(), projects=projects, signer=published(openid))
    return apply(current, Update(revision=1, structure=structure, people=people, whole=whole), builders.SHELF, builders.opened)


@pytest.fixture
def openid() -> OpenId:
    return OpenId(origin=ISSUER)


def now() -> float:
    return time.time()


def test_a_good_token_stands_for_a_person_in_their_project(openid: OpenId) -> None:
    caller = Bearers().caller(openid.access_token().encode(), b"", snapshot(openid, ADA), now())
    assert (caller.key.person, caller.key.name, caller.key.project, caller.project.id, caller.key.models) == ("ada", "ada@example.com", ONE, ONE, None)
    assert (len(caller.key.id), caller.key.id == key_id("ada", ONE), caller.key.environment) == (16, True, "dev")


def test_of_several_projects_the_header_names_one(openid: OpenId) -> None:
    held, token = snapshot(openid, replace(ADA, projects=(ONE, TWO))), openid.access_token().encode()
    bearers = Bearers()
    with pytest.raises(errors.BadRequest) as caught:
        bearers.caller(token, b"", held, now())
    assert (caught.value.param, f"prj_{ONE.replace('-', '')}, prj_{TWO.replace('-', '')}" in caught.value.message) == ("x-sgw-project", True)
    caller = bearers.caller(token, f"prj_{TWO.replace('-', '')}".encode(), held, now())
    assert (caller.project.id, caller.key.environment) == (TWO, "prod")
    for wish in (b"prj_" + b"0" * 32, b"x", b"\xff", TWO.encode()):
        with pytest.raises(errors.ProjectNotAllowed):
            bearers.caller(token, wish, held, now())


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"is_active": False}, errors.KeySuspended),
        ({"subjects": ("another",)}, errors.BadKey),
        ({"projects": ()}, errors.ProjectNotAllowed),
        ({"projects": ("gone",)}, errors.DependencyUnavailable),
    ],
)
def test_a_person_who_may_not_call_is_refused_at_once(openid: OpenId, change: dict[str, Any], refusal: type[errors.Refusal]) -> None:
    bearers, token, before = Bearers(), openid.access_token().encode(), snapshot(openid, ADA)
    assert bearers.caller(token, b"", before, now()).key.person == "ada"
    after = apply(before, Update(revision=2, people=(replace(ADA, **change),)), builders.SHELF, builders.opened)
    with pytest.raises(errors.Refusal) as caught:
        bearers.caller(token, b"", after, now())
    assert type(caught.value) is refusal


def test_a_suspended_project_takes_no_calls(openid: OpenId) -> None:
    with pytest.raises(errors.ProjectSuspended):
        Bearers().caller(openid.access_token().encode(), b"", snapshot(openid, ADA, suspended=True), now())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "symbiosis"}, {"aud": None}, {"iss": "https://evil.example"}, {"sub": None}, {"sub": 7}, {"exp": None}, {"iat": 9_999_999_999},
        {"nbf": 9_999_999_999},
    ],
)
def test_a_token_for_somebody_else_is_refused(openid: OpenId, changes: dict[str, Any]) -> None:
    with pytest.raises(errors.BadKey) as caught:
        Bearers().caller(openid.access_token(**changes).encode(), b"", snapshot(openid, ADA), now())
    assert type(caught.value) is errors.BadKey


def test_a_token_ends_when_it_says_even_if_it_was_good_before(openid: OpenId) -> None:
    bearers, held = Bearers(), snapshot(openid, ADA)
    token = openid.access_token(exp=int(now()) + 60).encode()
    bearers.caller(token, b"", held, now())
    with pytest.raises(errors.KeyExpired):
        bearers.caller(token, b"", held, now() + 60 + tokens.LEEWAY_S)
    with pytest.raises(errors.KeyExpired):
        bearers.caller(openid.access_token(exp=int(now()) - 60).encode(), b"", held, now())


def test_one_altered_character_is_another_token(openid: OpenId) -> None:
    bearers, held, token = Bearers(), snapshot(openid, ADA), openid.access_token()
    bearers.caller(token.encode(), b"", held, now())
    other = ("A" if token[-10] != "A" else "B").join((token[:-10], token[-9:]))
    with pytest.raises(errors.BadKey):
        bearers.caller(other.encode(), b"", held, now())


def test_a_key_the_provider_withdrew_is_good_no_more(openid: OpenId) -> None:
    bearers, token, before = Bearers(), openid.access_token().encode(), snapshot(openid, ADA)
    bearers.caller(token, b"", before, now())
    openid.published = ["key-2"]
    with pytest.raises(UnknownSigner):
        bearers.caller(token, b"", snapshot(openid, ADA, current=before), now())


def test_keys_stay_loaded_while_they_stay_the_same(openid: OpenId) -> None:
    before = snapshot(openid, ADA)
    assert snapshot(openid, ADA, current=before).signer is before.signer


def test_a_subject_moves_to_another_person(openid: OpenId) -> None:
    before = snapshot(openid, ADA)
    eve = Person(id="eve", name="eve@example.com", is_active=True, subjects=("sub-1",), projects=(ONE,))
    after = apply(before, Update(revision=2, people=(replace(ADA, subjects=()), eve)), builders.SHELF, builders.opened)
    assert (Bearers().caller(openid.access_token().encode(), b"", after, now()).key.person, dict(before.subjects)) == ("eve", {"sub-1": "ada"})


def test_without_a_provider_no_token_is_taken(openid: OpenId) -> None:
    with pytest.raises(errors.BadKey):
        Bearers().caller(openid.access_token().encode(), b"", builders.snapshot(), now())


@pytest.mark.parametrize("text", [b"eyJ", b"eyJ.eyJ.x", b"eyJ" + b"x" * 100_000, b"eyJ\xff.\xff.\xff", b"eyJhbGciOiJub25lIn0.e30."])
def test_what_only_looks_like_a_token_is_refused(openid: OpenId, text: bytes) -> None:
    with pytest.raises(errors.BadKey) as caught:
        Bearers().caller(text, b"", snapshot(openid, ADA), now())
    assert type(caught.value) is errors.BadKey


def test_the_rooms_of_keys_pass_tokens_on(openid: OpenId) -> None:
    with pytest.raises(AccessToken):
        identify(openid.access_token().encode(), builders.snapshot(), builders.PEPPERS, now())
