"""The directory creates, changes, groups and closes people by SCIM."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from accounts import actions, credentials, groups
from accounts.models import AuditEvent, DirectoryPerson, GroupMapping, Membership, ScimToken, User
from tests.accounts.scim.conftest import GROUP, PATCH, USER, Directory

pytestmark = pytest.mark.django_db
LONG = "x" * 1_100_000


def user(email: str = "ada@example.com") -> User:
    return User.objects.get(email=email)


def test_a_person_is_created_read_found_and_changed(directory: Directory) -> None:
    emails = [{"value": "ada@work.example", "primary": True}]
    made = directory.create("Ada@Example.com", externalId="x-1", displayName="Ada Lovelace", title="Countess", emails=emails)
    told = {name: made.get(name) for name in ("userName", "active", "displayName", "title", "emails")}
    assert told == {"userName": "Ada@Example.com", "active": True, "displayName": "Ada Lovelace", "title": None, "emails": emails}
    assert (user("ada@work.example").full_name, user("ada@work.example").has_usable_password()) == ("Ada Lovelace", False)
    path = f"Users/{made['id']}"
    assert directory.get(path) == made
    for query in (
        'userName eq "ada@example.com"',
        'externalId eq "x-1"',
        'emails.value eq "ada@work.example"',
        'displayName sw "Ada" and active eq true',
        f'id eq "{made["id"]}"',
    ):
        assert [row["id"] for row in directory.get(f"Users?filter={query}")["Resources"]] == [made["id"]], query
    for query in ('userName eq "eve@example.com"', 'userName eq "ada@example.com" and active eq false', 'id eq "x"', 'userName eq "\\u0000"'):
        assert directory.get(f"Users?filter={query}")["totalResults"] == 0, query
    changed = directory.ask("put", path, {"schemas": [USER], "userName": "ada@example.com", "name": {"givenName": "Ada", "familyName": "King"}})
    assert (changed.status_code, user("ada@example.com").full_name) == (200, "Ada King")


def test_pages_do_not_overlap(directory: Directory) -> None:
    made = [directory.create(f"p{number}@example.com")["id"] for number in range(5)]
    pages = [directory.get(f"Users?startIndex={start}&count=2") for start in (1, 3, 5)]
    assert ([row["id"] for page in pages for row in page["Resources"]], pages[0]["totalResults"], pages[2]["itemsPerPage"]) == (made, 5, 1)
    assert directory.get("Users?count=0")["totalResults"] == 5


def test_the_directory_may_ask_for_less(directory: Directory) -> None:
    made = directory.create(displayName="Ada")
    assert set(directory.get(f"Users/{made['id']}?attributes=displayName")) == {"schemas", "id", "displayName"}
    assert "displayName" not in directory.get("Users?excludedAttributes=displayName")["Resources"][0]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": False},
        {"op": "replace", "value": {"active": False}},
    ],
)
def test_a_person_is_deactivated_as_directories_say_it(directory: Directory, operation: dict[str, Any]) -> None:
    made = directory.create()
    answer = directory.patch(f"Users/{made['id']}", operation)
    assert (answer.status_code, user().is_active, answer.json()["active"]) == (200, False, False)  # type: ignore[attr-defined]
    directory.patch(f"Users/{made['id']}", {"op": "replace", "path": "active", "value": True})
    assert user().is_active


def test_an_existing_account_is_never_taken_over(directory: Directory) -> None:
    admin = actions.save_user(User(email="ada@example.com", role="it_admin"), "a-long-enough-one")
    other = directory.create("grace@example.com")
    answers = [
        directory.ask("post", "Users", {"schemas": [USER], "userName": "ADA@example.com"}),
        directory.ask("post", "Users", {"schemas": [USER], "userName": "x", "emails": [{"value": "ada@example.com"}]}),
        directory.ask("post", "Users", {"schemas": [USER], "userName": "Grace@example.com"}),
        directory.patch(f"Users/{other['id']}", {"op": "add", "path": "emails", "value": [{"value": "ada@example.com", "primary": True}]}),
    ]
    assert [(answer.status_code, answer.json()["scimType"]) for answer in answers] == [(409, "uniqueness")] * 4  # type: ignore[attr-defined]
    assert directory.ask("get", f"Users/{admin.pk}").status_code == 404
    admin.refresh_from_db()
    assert (admin.role, admin.is_active, User.objects.count()) == ("it_admin", True, 2)


def test_groups_give_and_take(directory: Directory) -> None:
    groups.save_mapping(GroupMapping(group="Auditors", role="auditor"))
    ada, eve = directory.create()["id"], directory.create("eve@example.com")["id"]
    group = directory.group("Auditors", ada)
    assert (user().role, user("eve@example.com").role, directory.get(f"Users/{ada}")["groups"][0]["display"]) == ("auditor", "", "Auditors")
    directory.patch(f"Groups/{group['id']}", {"op": "Add", "path": "members", "value": [{"value": eve}]})
    directory.patch(f"Groups/{group['id']}", {"op": "Remove", "path": f'members[value eq "{ada}"]'})
    assert (user().role, user("eve@example.com").role) == ("", "auditor")
    directory.patch(f"Groups/{group['id']}", {"op": "replace", "path": "displayName", "value": "Others"})
    assert user("eve@example.com").role == ""
    directory.patch(f"Groups/{group['id']}", {"op": "replace", "path": "displayName", "value": "Auditors"})
    assert user("eve@example.com").role == "auditor"
    assert directory.ask("delete", f"Groups/{group['id']}").status_code == 204
    assert user("eve@example.com").role == ""
    event = AuditEvent.objects.filter(action="directory-group.members").latest("seq")
    assert (event.actor_kind, event.actor_id, event.face, event.texts["changes"]["value"]) == (
        "directory", f"sct_{directory.row.public_id}", "scim", {"ada@example.com": [True, False]},
    )  # fmt: skip


def test_only_a_token_two_people_agreed_to_gives_a_privileged_role(directory: Directory) -> None:
    groups.save_mapping(GroupMapping(group="Admins", role="it_admin"))
    groups.save_mapping(GroupMapping(group="x-1", role="security_officer"))
    ada, others = directory.create()["id"], directory.group("Others")["id"]
    joined = directory.patch(f"Groups/{others}", {"op": "add", "path": "members", "value": [{"value": ada}]})
    tries = [
        directory.ask("post", "Groups", {"schemas": [GROUP], "displayName": "Admins", "members": [{"value": ada}]}),
        directory.patch(f"Groups/{others}", {"op": "replace", "path": "displayName", "value": "Admins"}),
        directory.patch(f"Groups/{others}", {"op": "add", "path": "externalId", "value": "x-1"}),
    ]
    assert (joined.status_code, [answer.status_code for answer in tries], user().role) == (200, [403] * 3, "")
    assert [row["displayName"] for row in directory.get("Groups")["Resources"]] == ["Others"]
    trusted = Directory("trusted", may_give_privileged=True)
    assert trusted.patch(f"Groups/{others}", {"op": "replace", "path": "displayName", "value": "Admins"}).status_code == 200
    assert user().role == "it_admin"
    closed = directory.patch(f"Users/{ada}", {"op": "replace", "path": "active", "value": False})
    opened = directory.patch(f"Users/{ada}", {"op": "replace", "path": "active", "value": True})
    assert (closed.status_code, opened.status_code, user().role, user().is_active) == (200, 403, "", False)
    assert directory.ask("delete", f"Users/{ada}").status_code == 204
    assert User.objects.get(pk=ada).role == ""


def test_nobody_gets_at_an_administrators_account_by_the_directory(directory: Directory) -> None:
    made = directory.create(externalId="x-1")
    actions.save_user(User.objects.get(pk=made["id"]), None)
    User.objects.filter(pk=made["id"]).update(role="it_admin", is_staff=True)
    path = f"Users/{made['id']}"
    changes: list[dict[str, Any]] = [
        {"op": "replace", "path": "emails", "value": [{"value": "eve@example.com"}]},
        {"op": "replace", "path": "userName", "value": "eve@example.com"},
        {"op": "replace", "path": "externalId", "value": "x-eve"},
    ]
    assert [directory.patch(path, change).status_code for change in changes] == [403] * 3
    assert directory.patch(path, {"op": "replace", "path": "displayName", "value": "Ada"}).status_code == 200
    trusted = Directory("trusted", may_give_privileged=True)
    assert [trusted.patch(path, change).status_code for change in changes] == [200] * 3


def test_a_group_holds_only_people_kept_here(directory: Directory) -> None:
    stranger = actions.save_user(User(email="stranger@example.com"))
    for member in (str(stranger.pk), "nonsense"):
        assert directory.group("G", member)["scimType"] == "invalidValue"
    assert directory.get("Groups")["totalResults"] == 0


def test_who_is_deleted_is_closed_for_good_and_their_address_is_free(directory: Directory) -> None:
    groups.save_mapping(GroupMapping(group="Auditors", role="auditor"))
    made = directory.create()
    directory.group("Auditors", made["id"])
    assert directory.ask("delete", f"Users/{made['id']}").status_code == 204
    gone = User.objects.get(pk=made["id"])
    assert (gone.is_active, gone.role, gone.email, gone.directory_groups.count()) == (False, "", f"{gone.pk.hex}@closed.invalid", 0)
    assert directory.ask("get", f"Users/{made['id']}").status_code == directory.ask("delete", f"Users/{made['id']}").status_code == 404
    again = directory.create()
    assert (again["id"] != made["id"], user().role, Membership.objects.count()) == (True, "", 0)


def test_a_change_to_another_version_is_refused(directory: Directory) -> None:
    made = directory.create()
    path, version = f"Users/{made['id']}", made["meta"]["version"]
    assert directory.ask("get", path, **{"if-none-match": version}).status_code == 304
    change = {"op": "replace", "path": "displayName", "value": "Ada"}
    assert [directory.patch(path, change, **{"if-match": version}).status_code for _ in range(2)] == [200, 412]
    assert directory.ask("delete", path, **{"if-match": version}).status_code == 412


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 400),
        ('{"schemas": [], "userName": "a", "userName": "b"}', 400),
        ({"schemas": [USER]}, 400),
        ({"schemas": [USER], "userName": "x" * 300}, 400),
        ({"schemas": [USER], "userName": "a", "emails": "x"}, 400),
        ({"schemas": [USER], "userName": "nul\0"}, 400),
        (f'{{"schemas": ["{USER}"], "userName": "{LONG}"}}', 413),
    ],
)
def test_nonsense_is_refused_in_the_protocols_words(directory: Directory, body: Any, status: int) -> None:
    answer = directory.ask("post", "Users", body)
    assert (answer.status_code, answer.json()["schemas"], User.objects.count()) == (status, ["urn:ietf:params:scim:api:messages:2.0:Error"], 0)  # type: ignore[attr-defined]


def test_odd_patches_and_filters_change_nothing(directory: Directory) -> None:
    made = directory.create()
    path = f"Users/{made['id']}"
    odd: list[Any] = [{"op": "explode"}, {"op": "remove"}, {"op": "replace", "path": "userName", "value": None}, {"op": "add", "path": "[", "value": 1}]
    assert [directory.patch(path, operation).status_code for operation in odd] == [400] * 4
    assert directory.ask("patch", path, {"schemas": [PATCH]}).status_code == 400
    queries = ("filter=userName", "filter=(((", "count=x", "startIndex=x", "filter=nope eq 1")
    assert [directory.ask("get", f"Users?{query}").status_code for query in queries] == [400] * 5
    assert directory.get(path) == made


def test_only_a_good_token_comes_in(directory: Directory) -> None:
    damaged = directory.token[:-1] + ("x" if directory.token[-1] != "x" else "y")
    tokens = ["", "Basic x", "Bearer ", "Bearer x", f"Bearer {damaged}", f"Basic {directory.token}"]
    answers = [Client().get("/scim/v2/Users", headers={"authorization": token}) for token in tokens]
    assert [(answer.status_code, answer.headers["www-authenticate"]) for answer in answers] == [(401, 'Bearer realm="scim"')] * len(tokens)
    assert Client().get("/api/v1/projects", headers={"authorization": f"Bearer {directory.token}"}).status_code == 401
    credentials.set_state(directory.row, ScimToken.State.REVOKED, reason="leaked")
    assert directory.ask("get", "Users").status_code == 401
    assert ScimToken.objects.get().last_used_at is None


def test_without_the_database_the_directory_is_asked_to_repeat(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(ScimToken.objects, "filter", away)
    answer = directory.ask("get", "Users")
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["content-type"]) == (503, "1", "application/scim+json")


def test_every_change_is_on_record(directory: Directory) -> None:
    made = directory.create()
    directory.patch(f"Users/{made['id']}", {"op": "replace", "path": "active", "value": False})
    said = AuditEvent.objects.filter(actor_kind="directory").order_by("seq").values_list("action", "object_kind")
    assert list(said) == [
        ("directory-person.create", "user"),
        ("directory-person.create", "directory-person"),
        ("directory-person.save", "user"),
        ("directory-person.save", "directory-person"),
    ]
    assert DirectoryPerson.objects.count() == 1


def test_no_write_goes_unrecorded(directory: Directory) -> None:
    person = f"Users/{directory.create()['id']}"
    group = f"Groups/{directory.group('G')['id']}"
    writes = [
        ("put", person, {"schemas": [USER], "userName": "ada", "displayName": "Ada"}),
        ("patch", person, {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": "A"}]}),
        ("put", group, {"schemas": [GROUP], "displayName": "H"}),
        ("patch", group, {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": "I"}]}),
        ("delete", group, None),
        ("delete", person, None),
    ]
    counts = []
    for method, path, body in writes:
        before = AuditEvent.objects.count()
        assert directory.ask(method, path, body).status_code in (200, 204)
        counts.append(AuditEvent.objects.count() > before)
    assert counts == [True] * len(writes)
