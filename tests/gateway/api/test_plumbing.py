"""What every resource keeps to: credentials, pages, versions, repeated requests and problems."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection

from accounts import keys
from accounts.models import BusinessUnit, IdempotencyRecord, ServiceAccount, User
from accounts.service_accounts import set_service_account_state
from tests.gateway.api.callers import Caller, person, program, service_account

pytestmark = pytest.mark.django_db


def code(answer) -> tuple[int, str]:  # type: ignore[no-untyped-def]
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    assert {"type", "title", "status", "code", "detail"} <= set(answer.json())
    return answer.status_code, answer.json()["code"]


def test_only_good_credentials_are_taken() -> None:
    account, token = service_account()
    assert Caller(token).get("projects").status_code == 200
    assert code(Caller().get("projects")) == (401, "not_authenticated")
    assert code(Caller(keys.make("vk").text).get("projects")) == (401, "wrong_credential_kind")
    assert code(Caller(keys.make("sa").text).get("projects")) == (401, "invalid_api_key")
    assert code(Caller(token[:-1] + ("a" if token[-1] != "a" else "b")).get("projects")) == (401, "invalid_api_key")
    assert Caller().get("projects").headers["WWW-Authenticate"] == 'Bearer realm="management"'
    set_service_account_state(account, ServiceAccount.State.SUSPENDED)
    assert code(Caller(token).get("projects")) == (401, "invalid_api_key")
    with time_machine.travel(datetime(2060, 1, 1, tzinfo=UTC)):
        set_service_account_state(account, ServiceAccount.State.ACTIVE)
        assert code(Caller(token).get("projects")) == (401, "invalid_api_key")


def test_a_bad_token_is_not_rescued_by_a_session() -> None:
    signed_in = person("it_admin")
    assert (signed_in.get("projects").status_code, code(signed_in.get("projects", authorization="Bearer x"))) == (200, (401, "invalid_api_key"))


def test_a_session_writes_only_with_a_csrf_token() -> None:
    user = User.objects.create_user("it@example.com", "x" * 14, role="it_admin")
    assert Caller(user=user).post("business-units", {"name": "A"}).status_code == 201
    assert code(Caller(user=user, csrf=True).post("business-units", {"name": "B"})) == (403, "not_allowed")


def test_the_last_use_is_noted_once_a_minute() -> None:
    account, token = service_account()
    noted = []
    for second in (0, 30, 61):
        with time_machine.travel(datetime(2026, 11, 24, 10, 0, tzinfo=UTC).timestamp() + second, tick=False):
            Caller(token).get("projects")
        noted.append(ServiceAccount.objects.get(pk=account.pk).last_used_at)
    assert [(at - noted[0]).total_seconds() for at in noted if at and noted[0]] == [0, 0, 61]


def test_lists_come_in_pages_newest_first() -> None:
    it = program()
    made = [it.made("business-units", {"name": f"U{number}"})["id"] for number in range(5)]
    seen, cursor, pages = [], "", []
    while True:
        page = it.get(f"business-units?limit=2{cursor}").json()
        seen += [row["id"] for row in page["data"]]
        pages.append(page["has_more"])
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, pages) == (made[::-1], [True, True, False])
    for bad in ("limit=0", "limit=201", "limit=x", "cursor=%00", "cursor=abc", "naem=x"):
        assert code(it.get(f"business-units?{bad}")) == (400, "invalid_request")


def test_a_repeated_request_acts_once_and_is_told_the_same() -> None:
    it = program()
    first, again = (it.post("business-units", {"name": "Once"}, idempotency_key="k1") for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["Idempotency-Replayed"]) == (201, 201, "true")
    assert (first.json(), first.headers["ETag"]) == (again.json(), again.headers["ETag"])
    assert code(it.post("business-units", {"name": "Other"}, idempotency_key="k1")) == (422, "idempotency_key_reused")
    assert program("other").post("business-units", {"name": "Other"}, idempotency_key="k1").status_code == 201
    assert sorted(BusinessUnit.objects.values_list("name", flat=True)) == ["Once", "Other"]


def test_a_refused_request_leaves_no_record_and_old_records_go() -> None:
    it = program()
    assert code(it.post("business-units", {"name": ""}, idempotency_key="k1")) == (400, "invalid_request")
    assert IdempotencyRecord.objects.count() == 0
    assert it.post("business-units", {"name": "Mended"}, idempotency_key="k1").status_code == 201
    IdempotencyRecord.objects.update(expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert it.post("business-units", {"name": "New"}, idempotency_key="k2").status_code == 201
    assert list(IdempotencyRecord.objects.values_list("key", flat=True)) == ["k2"]


def test_a_new_key_is_told_again_to_its_maker_and_kept_nowhere_in_clear() -> None:
    it = program()
    unit = it.made("business-units", {"name": "U"})
    project = it.made("projects", {"name": "P", "business_unit": unit["id"]})
    body = {"project": project["id"], "name": "k", "models": ["*"]}
    first, again = (it.post("keys", body, idempotency_key="k1").json() for _ in range(2))
    sealed = bytes(IdempotencyRecord.objects.get().sealed_answer)
    assert (first, first["key"].encode() in sealed, first["id"].encode() in sealed) == (again, False, False)


def test_a_change_made_meanwhile_is_not_overwritten() -> None:
    it = program()
    unit = it.made("business-units", {"name": "A"})
    path = f"business-units/{unit['id']}"
    read = it.get(path)
    assert it.get(path, if_none_match=read.headers["ETag"]).status_code == 304
    changed = it.patch(path, {"code": "4711"}, if_match=read.headers["ETag"])
    assert (changed.status_code, changed.json()) == (200, {**unit, "code": "4711"})
    assert code(it.patch(path, {"name": "B"}, if_match=read.headers["ETag"])) == (412, "changed_meanwhile")
    assert it.patch(path, {"name": "B"}, if_match=changed.headers["ETag"]).json()["name"] == "B"


def test_merge_patch_is_a_media_type_of_its_own() -> None:
    it = program()
    unit = it.made("business-units", {"name": "A"})
    answer = it.client.patch(f"/api/v1/business-units/{unit['id']}", '{"name": "B"}', content_type="application/merge-patch+json")
    assert (answer.status_code, answer.json()["name"]) == (200, "B")


def test_unknown_fields_are_refused_by_name() -> None:
    it = program()
    refused = it.post("business-units", {"name": "A", "is_demo": True, "id": "bu_1"})
    assert code(refused) == (400, "invalid_request")
    assert [error["field"] for error in refused.json()["errors"]] == ["is_demo", "id"]
    assert "Fields are: name, parent, code." in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"\xff", 400), (b'{"name": NaN}', 400), (b'{"name": "a", "name": "b"}', 400), (b"[" * 100_000, 400), (b"[]", 400),
        (b'"x"', 400), (b"null", 400), (b'{"name": "\\u0000"}', 400), (b'{"name": "\\ud800"}', 400), (b'{"name": 1' + b"0" * 5000 + b"}", 400),
        (b'{"name": "' + b"x" * 2_000_000 + b'"}', 413), (b'{"name": {"a": 1}}', 400), (b'{"name": "A", "parent": 1}', 400),
    ],
)  # fmt: skip
def test_nonsense_in_a_body_is_refused(body: bytes, status: int) -> None:
    assert code(program().post("business-units", body))[0] == status


def test_every_refusal_is_a_problem() -> None:
    it = program()
    assert code(it.get("nothing")) == (404, "not_found")
    assert code(it.get("/api/elsewhere")) == (404, "not_found")
    assert code(it.get("projects/")) == (404, "not_found")
    assert code(it.get("projects/prj_%00")) == (404, "not_found")
    assert code(it.get(f"projects/prj_{'0' * 32}")) == (404, "not_found")
    assert code(it.ask("DELETE", "projects")) == (405, "method_not_allowed")
    assert code(it.ask("OPTIONS", "projects")) == (405, "method_not_allowed")
    assert code(it.ask("PUT", f"projects/prj_{'0' * 32}", {})) == (405, "method_not_allowed")
    assert code(it.get("projects", accept="text/html")) == (406, "not_acceptable")
    assert code(it.client.post("/api/v1/projects", "a=b", content_type="application/x-www-form-urlencoded")) == (415, "unsupported_media_type")


def test_a_database_that_is_away_is_told_as_such_and_when_to_come_again() -> None:
    it = program()

    def away(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(away):
        answer = it.get("projects")
    assert (code(answer), answer["retry-after"]) == ((503, "dependency_unavailable"), "1")
    assert "closed the connection" not in answer.content.decode()


def test_what_nobody_foresaw_is_a_problem_without_details(monkeypatch: pytest.MonkeyPatch) -> None:
    it = program()
    monkeypatch.delattr(settings, "KEY_PEPPERS")
    answer = it.get("projects")
    assert code(answer) == (500, "internal_error")
    assert "KEY_PEPPERS" not in answer.content.decode()
