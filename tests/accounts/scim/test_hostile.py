"""Whatever a directory, or whoever holds its token, sends: an answer in the protocol's words, nothing changed, and never a failure of ours."""

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import get_resolver

from accounts.models import AuditEvent, User
from tests.accounts.scim.conftest import PATCH, SEARCH, USER, Directory

pytestmark = [pytest.mark.django_db, pytest.mark.once]
DEEP = 20_000
FILTERS = [
    "(" * DEEP + 'userName eq "x"' + ")" * DEEP,
    "not (" * DEEP + 'userName eq "x"' + ")" * DEEP,
    " and ".join(['userName eq "x"'] * DEEP),
    "emails[" * DEEP,
    'userName eq "\\ud800"',
    'userName eq "\\u0000"',
    'externalId eq "\\udfff" or id eq "\ud800"',
    'userName eq "' + "x" * 500_000 + '"',
    "userName eq 5",
    "active eq 99999999999999999999999999",
    'meta.created gt "x"',
    'meta.lastModified gt "9999999-01-01T00:00:00Z"',
    'emails[type eq "work" and value co ""',
    "userName.x.y.z pr",
    f'{"urn:" * DEEP}userName eq "x"',
    "\0",
    "",
]
PATHS = ["[", "emails[", 'emails[type eq "x"', "a" * 100_000, "emails[" * DEEP, "\ud800"]
PATHS += ["urn:x:y", "id", "meta.version", "groups", "emails.value.x", "schemas"]
QUERIES = ["startIndex=" + "9" * 40, "count=" + "9" * 40, "count=-1", "startIndex=-5", "startIndex=1e3"]
QUERIES += ["attributes=" + "a," * 3000, "attributes=%00", "sortBy=[&sortOrder=x"]


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_a_filter_finds_nothing_or_is_refused(directory: Directory, number: int) -> None:
    directory.create()
    answer = directory.ask("post", "Users/.search", {"schemas": [SEARCH], "filter": FILTERS[number]})
    found = answer.json()  # type: ignore[attr-defined]
    assert (answer.status_code, found.get("totalResults")) in ((400, None), (200, 0)), found
    if len(FILTERS[number]) < 10_000 and "\ud800" not in FILTERS[number]:
        assert directory.ask("get", f"Users?filter={quote(FILTERS[number])}").status_code == answer.status_code


@pytest.mark.parametrize("number", range(len(PATHS)))
def test_a_patch_of_an_odd_path_changes_nothing(directory: Directory, number: int) -> None:
    path = f"Users/{directory.create()['id']}"
    before = directory.get(path)
    for op, value in (("add", "x"), ("replace", {"x": ["y"]}), ("remove", None)):
        answer = directory.patch(path, {"op": op, "path": PATHS[number], "value": value})
        assert answer.status_code in (200, 204, 400), answer.content
    assert directory.get(path) == before


def test_a_patch_has_a_bounded_number_of_operations(directory: Directory) -> None:
    path = f"Users/{directory.create()['id']}"
    one = {"op": "replace", "path": "displayName", "value": "x"}
    assert [directory.patch(path, *[one] * count).status_code for count in (1000, 1001)] == [200, 413]


@pytest.mark.parametrize("query", QUERIES)
def test_a_page_of_nonsense_is_empty_or_refused(directory: Directory, query: str) -> None:
    answer = directory.ask("get", f"Users?{query}")
    assert answer.status_code in (200, 400), answer.content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"schemas": ["%b"], "userName": "\\ud800"}' % USER.encode(),
        b'{"schemas": ["%b"], "userName": "a", "displayName": "\\u0000"}' % USER.encode(),
        b'{"schemas": ["%b"], "userName": NaN}' % USER.encode(),
        b'{"schemas": 5, "userName": {"a": 1}, "emails": 7, "active": "maybe"}',
        b'{"schemas": ["%b"], "userName": "a", "emails": [{"value": "x@[1.2.3.4]"}]}' % USER.encode(),
        b'{"schemas": ["%b"], "userName": "a", "emails": [{"value": "%b@example.com"}]}' % (USER.encode(), b"x" * 400),
        b'{"schemas": ["%b"], "userName": "a", "externalId": "%b"}' % (USER.encode(), b"x" * 400),
        b'{"schemas": ["%b"], "userName": ""}' % USER.encode(),
    ],
)  # fmt: skip
def test_a_body_of_nonsense_makes_nobody(directory: Directory, body: bytes) -> None:
    answers = [directory.ask("post", "Users", body), directory.ask("post", "Groups", body), directory.ask("put", f"Users/{User().pk}", body)]
    assert {answer.status_code for answer in answers} <= {400, 404}, [answer.content for answer in answers]
    assert User.objects.count() == 0


def test_letters_that_look_like_an_escape_are_kept(directory: Directory) -> None:
    assert directory.create("a", displayName="C:\\u0000")["displayName"] == "C:\\u0000"


@pytest.mark.parametrize("where", ["Users/..", "Users/%00", "Users/x/y", "Users/" + "x" * 5000, "Me", "Bulk", "", "Schemas/%00", "ResourceTypes/x"])
def test_odd_addresses_lead_nowhere(directory: Directory, where: str) -> None:
    for method in ("get", "put", "patch", "delete", "post", "options"):
        answer = directory.ask(method, where, {"schemas": [PATCH], "Operations": []} if method in ("put", "patch", "post") else None)
        assert answer.status_code in (200, 400, 404, 405, 501), (method, answer.status_code)


def test_no_address_answers_a_stranger() -> None:
    found = [str(route.pattern).replace("<str:number>", "1") for route in get_resolver("accounts.scim.routes").url_patterns[:-1]]
    methods = ("get", "post", "put", "patch", "delete")
    answers = {getattr(Client(), method)(f"/scim/v2/{path}").status_code for path in found for method in methods}
    assert (len(found), answers) == (12, {401})


def test_a_token_opens_what_its_scopes_name() -> None:
    reader = Directory("reader", scopes=["users:read"])
    writer = Directory("writer", scopes=["users:write"])
    made = writer.create()
    path = f"Users/{made['id']}"
    assert [reader.ask(method, path, made).status_code for method in ("get", "put", "patch", "delete")] == [200, 403, 403, 403]
    assert [writer.ask("get", where).status_code for where in (path, "Users", "Groups")] == [403] * 3
    assert [reader.ask(method, "Groups").status_code for method in ("get", "post")] == [403, 403]
    searched = {"schemas": [SEARCH]}
    assert [who.ask("post", "Users/.search", searched).status_code for who in (reader, writer)] == [200, 403]
    assert [who.ask("get", what).status_code for who in (reader, writer) for what in ("Schemas", "ResourceTypes", "ServiceProviderConfig")] == [200] * 6


def test_a_refusal_for_lack_of_scope_is_on_record() -> None:
    reader = Directory("reader", scopes=["users:read"])
    reader.ask("delete", "Users/x")
    event: Any = AuditEvent.objects.get(action="access.refuse")
    assert (event.actor_kind, event.actor_id, event.texts["reason"]["value"]) == ("directory", f"sct_{reader.row.public_id}", "DELETE /scim/v2/Users/x")
