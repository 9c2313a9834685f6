"""What Entra ID and Okta send, word for word as their documentation and their validators do."""

from typing import Any

import pytest

from accounts.models import DirectoryGroup, User
from tests.accounts.scim.conftest import GROUP, USER, Directory

pytestmark = pytest.mark.django_db
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ENTRA_USER = {
    "schemas": [USER, ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "ada@contoso.com",
    "active": True,
    "displayName": "Ada Lovelace",
    "emails": [{"primary": True, "type": "work", "value": "ada@contoso.com"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada"},
    "roles": [],
    "addresses": [{"type": "work", "formatted": "St James's Square"}],
    ENTERPRISE: {"department": "Engines", "manager": {"value": "41"}},
}
ENTRA_GROUP = {
    "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
    "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
    "displayName": "Engineers",
    "meta": {"resourceType": "Group"},
}
OKTA_USER = {
    "schemas": [USER],
    "userName": "ada@okta.example",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"primary": True, "value": "ada@okta.example", "type": "work"}],
    "displayName": "Ada Lovelace",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}


def ok(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def test_entra_provisions_a_person(directory: Directory) -> None:
    assert directory.get('Users?filter=userName eq "ada@contoso.com"')["totalResults"] == 0
    made = ok(directory.ask("post", "Users", ENTRA_USER), 201)
    path = f"Users/{made['id']}"
    ok(directory.patch(path,
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "ada.king@contoso.com"},
        {"op": "Replace", "path": "name.familyName", "value": "King"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Notes"},
        {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "+44 1"},
        {"op": "Add", "path": 'addresses[type eq "work"].formatted', "value": "Ockham"},
        {"op": "Add", "path": "title", "value": "Countess"},
        {"op": "Replace", "path": "name.formatted", "value": "Ada King"},
        {"op": "Replace", "path": "displayName", "value": "Ada King"},
    ))  # fmt: skip
    user = User.objects.get(pk=made["id"])
    assert (user.email, user.full_name, user.is_active) == ("ada.king@contoso.com", "Ada King", True)
    ok(directory.patch(path, {"op": "Replace", "value": {"displayName": "Ada L", "name.givenName": "A", f"{ENTERPRISE}:department": "X", "active": "True"}}))
    assert User.objects.get(pk=made["id"]).full_name == "Ada L"
    ok(directory.patch(path, {"op": "Replace", "path": "active", "value": "False"}))
    assert not User.objects.get(pk=made["id"]).is_active
    ok(directory.patch(path, {"op": "Replace", "path": "active", "value": "True"}))
    assert User.objects.get(pk=made["id"]).is_active


def test_entra_adds_the_address_of_a_person_who_had_none(directory: Directory) -> None:
    made = ok(directory.ask("post", "Users", {"schemas": [USER], "userName": "ada", "externalId": "x"}), 201)
    ok(directory.patch(f"Users/{made['id']}", {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ada@contoso.com"}))
    assert User.objects.get(pk=made["id"]).email == "ada@contoso.com"


def test_entra_fills_and_empties_a_group(directory: Directory) -> None:
    ada = ok(directory.ask("post", "Users", ENTRA_USER), 201)["id"]
    group = ok(directory.ask("post", "Groups", ENTRA_GROUP), 201)
    found = directory.get('Groups?excludedAttributes=members&filter=displayName eq "Engineers"')
    assert [row["id"] for row in found["Resources"]] == [group["id"]]
    path = f"Groups/{group['id']}"
    ok(directory.patch(path, {"op": "Add", "path": "members", "value": [{"$ref": None, "value": ada}]}))
    assert "members" not in ok(directory.ask("get", f"{path}?excludedAttributes=members"))
    asked = directory.get(f'Groups?filter=id eq "{group["id"]}" and members[value eq "{ada}"]&attributes=id')
    assert [row["id"] for row in asked["Resources"]] == [group["id"]]
    ok(directory.patch(path, {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": ada}]}))
    assert DirectoryGroup.objects.get().members.count() == 0


def test_members_are_taken_out_whichever_way_names_them(directory: Directory) -> None:
    ids = [directory.create(f"p{number}@example.com")["id"] for number in range(5)]
    path = f"Groups/{directory.group('G', *ids)['id']}"
    ways: list[dict[str, Any]] = [
        {"op": "remove", "path": f'members[value eq "{ids[0]}"]'},
        {"op": "Remove", "path": "members", "value": [{"value": ids[1], "display": "p1"}]},
        {"op": "remove", "path": "Members", "value": {"value": ids[2]}},
        {"op": "remove", "path": f'members[value eq "{ids[3]}" or value eq "nobody"]'},
    ]
    left = []
    for way in ways:
        left.append(sorted(ids.index(member["value"]) for member in ok(directory.patch(path, way))["members"]))
    assert left == [[1, 2, 3, 4], [2, 3, 4], [3, 4], [4]]
    assert "members" not in ok(directory.patch(path, {"op": "remove", "path": "members"}))


def test_okta_provisions_pushes_groups_and_deactivates(directory: Directory) -> None:
    assert directory.get('Users?filter=userName eq "ada@okta.example"&startIndex=1&count=100')["totalResults"] == 0
    made = ok(directory.ask("post", "Users", OKTA_USER), 201)
    user = User.objects.get(pk=made["id"])
    assert (user.has_usable_password(), "password" in made) == (False, False)
    path = f"Users/{made['id']}"
    put = ok(directory.ask("put", path, {**OKTA_USER, "id": made["id"], "meta": made["meta"], "displayName": "Ada King"}))
    assert put["displayName"] == "Ada King"
    pushed = {"schemas": [GROUP], "displayName": "Everyone", "members": [{"value": made["id"], "display": "ada@okta.example"}]}
    group = f"Groups/{ok(directory.ask('post', 'Groups', pushed), 201)['id']}"
    ok(directory.patch(group, {"op": "replace", "value": {"id": group.partition("/")[2], "displayName": "All"}}))
    left, came = {"op": "remove", "path": f'members[value eq "{made["id"]}"]'}, {"op": "add", "path": "members", "value": [{"value": made["id"]}]}
    ok(directory.patch(group, left, came))
    assert [(row.name, row.members.count()) for row in DirectoryGroup.objects.all()] == [("All", 1)]
    ok(directory.patch(group, {"op": "replace", "path": "members", "value": []}))
    assert DirectoryGroup.objects.get().members.count() == 0
    ok(directory.patch(path, {"op": "replace", "value": {"active": False}}))
    assert not User.objects.get(pk=made["id"]).is_active
