"""Signing in by an OpenID provider: who comes in as whom, and that nothing tampered with does."""

import base64
import hmac
import time
from itertools import groupby
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.sessions.backends.base import SessionBase
from django.test import Client

from accounts import actions
from accounts.models import AuditEvent, GrantRequest, IssuerDocument, Membership, OidcIdentity, User
from accounts.oidc import people
from accounts.oidc.configuration import Configuration
from tests.accounts.oidc.conftest import come_back, sign_in, start, tell
from tests.fakes.openid import Claims, OpenId, rsa_key

pytestmark = pytest.mark.django_db

ADA: Claims = {"email": "Ada@Example.com", "email_verified": True, "name": "Ada Lovelace"}


def signed_in_as(client: Client) -> str | None:
    """Return who the client's session belongs to."""
    session: SessionBase = client.session
    user = session.get("_auth_user_id")
    return User.objects.get(pk=user).email if user else None


def refusals() -> list[str]:
    return [event.texts["reason"]["value"] for event in AuditEvent.objects.filter(action="session.sign-in", outcome="refused").order_by("seq")]


def linked(email: str, openid: OpenId, subject: str = "sub-1") -> User:
    user = actions.save_user(User(email=email))
    people.link(user, openid.origin, subject)
    return user


def test_the_first_sign_in_makes_a_person_and_the_next_finds_them(client: Client, openid: OpenId) -> None:
    openid.claims = ADA
    answer = sign_in(client)
    first = User.objects.get()
    assert (answer.status_code, signed_in_as(client)) == (302, "ada@example.com")
    assert (first.email, first.full_name, first.role, first.has_usable_password()) == ("ada@example.com", "Ada Lovelace", "", False)
    openid.claims = {**ADA, "email": "changed@example.com"}
    other = Client()
    sign_in(other)
    assert (signed_in_as(other), User.objects.count(), OidcIdentity.objects.count()) == ("ada@example.com", 1, 1)
    said = [event for event, _ in groupby(AuditEvent.objects.order_by("seq").values_list("action", flat=True))]
    assert said == ["user.create", "identity.link", "session.sign-in", "request.submit", "session.sign-in"]
    sandbox = Membership.objects.get(user=first)
    assert (str(sandbox.project), sandbox.role, GrantRequest.objects.get().state) == ("Sandbox of ada@example.com", "owner", "applied")


def test_the_request_is_bound_by_state_nonce_and_code_challenge(client: Client, openid: OpenId) -> None:
    asked = start(client).params
    assert {name: asked[name] for name in ("response_type", "client_id", "scope", "code_challenge_method", "redirect_uri")} == {
        "response_type": "code",
        "client_id": "symbiosis",
        "scope": "openid email profile",
        "code_challenge_method": "S256",
        "redirect_uri": "http://testserver/oidc/callback",
    }
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 32


def test_a_second_factor_at_the_provider_makes_the_session_strong_and_as_old_as_it_is(client: Client, openid: OpenId) -> None:
    tell(second_factors=("otp",))
    proved_at = int(time.time()) - 3_000
    openid.claims = {**ADA, "amr": ["pwd", "otp"], "auth_time": proved_at}
    sign_in(client)
    assert (client.session["strong_by"], client.session["proved_at"], client.session["signed_in_by"]) == ("other", proved_at, "oidc")
    openid.claims = {**ADA, "amr": ["pwd"]}
    other = Client()
    sign_in(other)
    assert "strong_by" not in other.session


def test_the_session_gets_a_new_key(client: Client, openid: OpenId) -> None:
    openid.claims = ADA
    at_provider = httpx.get(start(client))
    before = client.session.session_key
    come_back(client, at_provider.headers["location"])
    assert client.session.session_key != before


def expired(claims: Claims) -> Claims:
    return {**claims, "iat": claims["iat"] - 900, "exp": claims["exp"] - 900}


def unsigned(openid: OpenId, claims: Claims) -> str:
    return jwt.encode(claims, None, "none", {"kid": "key-1"})


def signed_with_the_public_key(openid: OpenId, claims: Claims) -> str:
    public = rsa_key("key-1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = jwt.encode(claims, "x" * 32, "HS256", {"kid": "key-1"}).split(".")
    signature = hmac.digest(public, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


CLAIMS = [
    ("audience", lambda claims: {**claims, "aud": "another-client"}),
    ("authorized_party", lambda claims: {**claims, "azp": "another-client"}),
    ("authorized_party", lambda claims: {**claims, "aud": ["symbiosis", "another-client"]}),
    ("issuer", lambda claims: {**claims, "iss": "https://evil.example"}),
    ("issuer", lambda claims: {**claims, "iss": claims["iss"] + "/"}),
    ("nonce", lambda claims: {**claims, "nonce": "another"}),
    ("incomplete", lambda claims: {name: value for name, value in claims.items() if name != "nonce"}),
    ("incomplete", lambda claims: {name: value for name, value in claims.items() if name != "exp"}),
    ("incomplete", lambda claims: {name: value for name, value in claims.items() if name != "sub"}),
    ("expired", expired),
    ("not_yet_valid", lambda claims: {**claims, "nbf": claims["iat"] + 900}),
    ("not_yet_valid", lambda claims: {**claims, "iat": claims["iat"] + 900}),
    ("access_token", lambda claims: {**claims, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    ("userinfo", lambda claims: {**claims, "sub": "somebody-else"}),
]
TOKENS = [
    ("algorithm", unsigned),
    ("algorithm", signed_with_the_public_key),
    ("no_key_id", lambda openid, claims: openid.signed(claims, kid=None)),
    ("unknown_key", lambda openid, claims: openid.signed(claims, kid="key-9")),
    ("signature", lambda openid, claims: openid.signed(claims, kid="key-1", key="key-2")),
    ("malformed", lambda openid, claims: openid.signed(claims)[:-4] + "AAAA=x"),
    ("malformed", lambda openid, claims: "not.a.token"),
    ("malformed", lambda openid, claims: "é" * 5),
    ("malformed", lambda openid, claims: openid.signed({**claims, "long": "x" * 20_000})),
]


@pytest.mark.parametrize(("code", "twist"), CLAIMS)
def test_a_token_that_says_something_else_signs_nobody_in(client: Client, openid: OpenId, code: str, twist: Any) -> None:
    openid.claims, openid.twist = ADA, twist
    answer = sign_in(client)
    assert (answer.status_code, "You are not signed in" in answer.content.decode(), signed_in_as(client)) == (403, True, None)
    assert (refusals(), User.objects.count()) == ([code], 0)


@pytest.mark.parametrize(("code", "sign"), TOKENS)
def test_a_token_that_is_not_properly_signed_signs_nobody_in(client: Client, openid: OpenId, code: str, sign: Any) -> None:
    openid.claims, openid.sign = ADA, sign
    answer = sign_in(client)
    assert (answer.status_code, "You are not signed in" in answer.content.decode(), signed_in_as(client)) == (403, True, None)
    assert (refusals(), User.objects.count()) == ([code], 0)


def test_a_state_is_good_once_in_one_browser_and_not_for_long(client: Client, openid: OpenId, time_machine: Any) -> None:
    openid.claims = ADA
    back = httpx.get(start(client)).headers["location"]
    assert come_back(Client(), back).status_code == 403
    assert come_back(client, back).status_code == 302
    assert come_back(client, back).status_code == 403
    late = Client()
    back = httpx.get(start(late)).headers["location"]
    time_machine.move_to(time.time() + 601)
    assert come_back(late, back).status_code == 403
    assert refusals() == ["state"] * 3


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=x", "?error=access_denied", "?error=x&state=\0"])
def test_a_callback_nobody_asked_for_ends_on_a_page(client: Client, openid: OpenId, query: str) -> None:
    assert (client.get(f"/oidc/callback{query}").status_code, refusals()) == (403, ["state"])


def test_a_provider_that_says_no_ends_on_a_page(client: Client, openid: OpenId) -> None:
    state = start(client).params["state"]
    assert (client.get(f"/oidc/callback?error=access_denied&state={state}").status_code, refusals()) == (403, ["provider_refused"])


def test_a_code_that_the_provider_does_not_know_ends_on_a_page(client: Client, openid: OpenId) -> None:
    state = start(client).params["state"]
    assert (client.get(f"/oidc/callback?code=stolen&state={state}").status_code, refusals()) == (503, ["provider_unreachable"])


@pytest.mark.parametrize(("named", "status"), [("https://evil.example", 403), ("", 403)])
def test_an_answer_of_another_issuer_is_refused(client: Client, openid: OpenId, named: str, status: int) -> None:
    openid.claims, openid.discovery = ADA, {"authorization_response_iss_parameter_supported": True}
    back = httpx.get(start(client)).headers["location"] + (f"&iss={named}" if named else "")
    assert (come_back(client, back).status_code, refusals()) == (status, ["issuer"])


def test_the_issuer_may_name_itself(client: Client, openid: OpenId) -> None:
    openid.claims, openid.discovery = ADA, {"authorization_response_iss_parameter_supported": True}
    back = httpx.get(start(client)).headers["location"] + f"&iss={openid.origin}"
    assert come_back(client, back).status_code == 302


def test_an_account_of_the_same_address_is_not_taken_over(client: Client, openid: OpenId) -> None:
    victim = actions.save_user(User(email="ada@example.com", role="it_admin"), "a-long-enough-one")
    openid.claims = ADA
    answer = sign_in(client)
    assert (answer.status_code, signed_in_as(client), OidcIdentity.objects.count()) == (403, None, 0)
    victim.refresh_from_db()
    assert (victim.role, victim.check_password("a-long-enough-one"), refusals()) == ("it_admin", True, ["account_exists"])


def test_the_subject_alone_says_who_it_is(client: Client, openid: OpenId) -> None:
    linked("grace@example.com", openid, "sub-2")
    openid.claims, openid.subject = ADA, "SUB-2"
    sign_in(client)
    assert signed_in_as(client) == "ada@example.com"
    openid.subject = "sub-2"
    other = Client()
    sign_in(other)
    assert signed_in_as(other) == "grace@example.com"


@pytest.mark.parametrize(
    ("claims", "told", "code"),
    [
        ({"email": "ada@example.com"}, {}, "no_email"),
        ({"email": "ada@example.com", "email_verified": False}, {}, "no_email"),
        ({"email": "ada@example.com", "email_verified": "true"}, {}, "no_email"),
        ({"email": "ada@example.com", "email_verified": False}, {"trusts_email": True}, "no_email"),
        ({"email": "no address", "email_verified": True}, {}, "no_email"),
        ({}, {}, "no_email"),
        (ADA, {"email_domains": ("example.org",)}, "email_domain"),
        ({**ADA, "email": "ada@example.org.evil.example"}, {"email_domains": ("example.org",)}, "email_domain"),
        (ADA, {"creates_users": False}, "unknown_person"),
    ],
)
def test_a_stranger_gets_an_account_only_by_the_rules(client: Client, openid: OpenId, claims: Claims, told: Claims, code: str) -> None:
    openid.claims = claims
    tell(**told)
    assert (sign_in(client).status_code, refusals(), User.objects.count()) == (403, [code], 0)


@pytest.mark.parametrize(
    ("claims", "told"), [({"email": "ada@example.com"}, {"trusts_email": True}), (ADA, {"email_domains": ("example.org", "example.com")})]
)
def test_a_stranger_gets_an_account_by_the_rules(client: Client, openid: OpenId, claims: Claims, told: Claims) -> None:
    openid.claims = claims
    tell(**told)
    sign_in(client)
    assert signed_in_as(client) == "ada@example.com"


def test_a_deactivated_person_does_not_come_in(client: Client, openid: OpenId) -> None:
    actions.set_users_active([linked("ada@example.com", openid)], False)
    assert (sign_in(client).status_code, signed_in_as(client), refusals()) == (403, None, ["inactive"])


def test_a_new_key_of_the_provider_is_fetched_once(client: Client, openid: OpenId) -> None:
    openid.claims = ADA
    sign_in(client)
    openid.published, openid.signs_by = ["key-1", "key-2"], "key-2"
    openid.asked.clear()
    sign_in(client)
    assert (signed_in_as(client), openid.asked.count("/jwks"), openid.asked.count("/.well-known/openid-configuration")) == ("ada@example.com", 1, 1)
    openid.sign = lambda told, claims: told.signed(claims, kid="key-3")
    openid.asked.clear()
    assert [sign_in(Client()).status_code for _ in range(3)] == [403, 403, 403]
    assert openid.asked.count("/jwks") == 0


def test_what_the_provider_publishes_is_kept_and_outlives_it_for_a_while(client: Client, openid: OpenId, time_machine: Any) -> None:
    start(client)
    openid.is_down = True
    assert Client().get("/oidc/start").status_code == 302
    time_machine.move_to(time.time() + 400)
    assert (Client().get("/oidc/start").status_code, IssuerDocument.objects.get().keys["keys"][0]["kid"]) == (302, "key-1")


def test_a_provider_that_is_away_ends_on_a_page(client: Client, openid: OpenId) -> None:
    openid.is_down = True
    answer = client.get("/oidc/start")
    assert (answer.status_code, "does not answer" in answer.content.decode(), refusals()) == (503, True, ["provider_unreachable"])


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": None},
        {"authorization_endpoint": ["x"]},
        {"jwks_uri": "http://169.254.169.254/latest"},
    ],
)
def test_a_discovery_document_that_leads_elsewhere_is_refused(client: Client, openid: OpenId, discovery: Claims) -> None:
    openid.discovery = discovery
    assert (client.get("/oidc/start").status_code, refusals()) == (503, ["provider_unreachable"])


def test_a_private_provider_needs_leave(client: Client, openid: OpenId) -> None:
    tell(private_addresses="none")
    assert (client.get("/oidc/start").status_code, openid.asked) == (503, [])


def test_without_a_provider_there_are_no_such_pages(client: Client) -> None:
    assert [client.get(f"/oidc/{page}").status_code for page in ("start", "callback", "left")] == [404, 404, 404]


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere_after_signing_in(client: Client, openid: OpenId, target: str) -> None:
    openid.claims = ADA
    address = httpx.URL(client.get("/oidc/start", {"next": target}).headers["location"])
    assert come_back(client, httpx.get(address).headers["location"]).headers["location"] == "/"


def test_one_is_led_back_to_the_page_one_came_from(client: Client, openid: OpenId) -> None:
    openid.claims = ADA
    address = httpx.URL(client.get("/oidc/start", {"next": "/keys?page=2"}).headers["location"])
    assert come_back(client, httpx.get(address).headers["location"]).headers["location"] == "/keys?page=2"


def test_leaving_leads_to_the_providers_own_sign_out(client: Client, openid: OpenId) -> None:
    openid.claims = ADA
    sign_in(client)
    answer = client.post("/oidc/leave")
    target = httpx.URL(answer.headers["refresh"].removeprefix("0; url="))
    assert (answer.status_code, signed_in_as(client), f"{target.scheme}://{target.netloc.decode()}{target.path}") == (200, None, f"{openid.origin}/end_session")
    hint = jwt.decode(target.params["id_token_hint"], options={"verify_signature": False})
    assert (hint["sub"], target.params["post_logout_redirect_uri"], target.params["client_id"]) == ("sub-1", "http://testserver/oidc/left", "symbiosis")
    assert client.get("/oidc/leave").status_code == 405


@pytest.mark.parametrize(
    ("claims", "told", "is_strong"),
    [
        ({"amr": ["pwd", "otp"]}, ("otp", "mfa"), True),
        ({"acr": "urn:mfa"}, ("urn:mfa",), True),
        ({"amr": ["pwd"], "acr": "0"}, ("otp",), False),
        ({"amr": ["otp"]}, (), False),
        ({"amr": "otp", "acr": ["otp"]}, ("otp",), False),
        ({"amr": [["otp"]]}, ("otp",), False),
    ],
)
def test_a_second_factor_of_the_provider_counts_where_it_was_said_to(claims: Claims, told: tuple[str, ...], is_strong: bool) -> None:
    assert people.has_second_factor(claims, Configuration(second_factors=told)) == is_strong
