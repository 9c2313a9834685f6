"""Upload addresses that are a credential: good for the path, the upload and the key they were made for, for a day."""

import pytest

from gateway import tickets
from gateway.errors import BadKey, KeySuspended
from gateway.terms import Caller
from tests.gateway.plane.builders import PEPPERS, new_key, snapshot

PATH = "/v1/google/upload/v1beta/files"
TARGET = f"{PATH}?upload_id=u1&upload_protocol=resumable"
KEY = new_key(expires_at_s=10_000_000)[1]
SNAPSHOT = snapshot(keys=(KEY,))
NOW_S = 1_000_000.0


def asked(address: str, now_s: float = NOW_S, at: object = SNAPSHOT) -> Caller:
    path, _, query = address.partition("?")
    return tickets.caller(path.encode(), query.encode(), at, PEPPERS, now_s)  # type: ignore[arg-type]


def test_the_address_stands_for_its_key() -> None:
    address = tickets.sealed(TARGET, KEY.id, PEPPERS, NOW_S)
    assert asked(address) == Caller(key=KEY, project=SNAPSHOT.projects["prj"])
    assert tickets.without(address.partition("?")[2].encode()) == b"upload_id=u1&upload_protocol=resumable"
    assert asked(tickets.sealed(PATH, KEY.id, PEPPERS, NOW_S)).key == KEY


GOOD = tickets.sealed(TARGET, KEY.id, PEPPERS, NOW_S)


@pytest.mark.parametrize(
    ("address", "now_s"),
    [
        (GOOD.replace("upload_id=u1", "upload_id=u2"), NOW_S),
        (GOOD.replace("/google/", "/google2/"), NOW_S),
        (GOOD.replace("upload/v1beta/files", "v1beta/files"), NOW_S),
        (GOOD + "&more=1", NOW_S),
        (GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1"), NOW_S),
        (GOOD + "&sgw_upload=x", NOW_S),
        (GOOD, NOW_S + tickets.LIFETIME_S),
        (tickets.sealed(TARGET, KEY.id, {1: b"another"}, NOW_S), NOW_S),
        (tickets.sealed(TARGET, "nobody", PEPPERS, NOW_S), NOW_S),
        (f"{TARGET}&sgw_upload=", NOW_S),
        (f"{TARGET}&sgw_upload=a.b.c", NOW_S),
        (f"{TARGET}&sgw_upload={KEY.id}.9999999999.\xe9", NOW_S),
        (f"{TARGET}&sgw_upload={KEY.id}.\xb2\xb2.x", NOW_S),
    ],
    ids=[
        "another upload", "another account", "another path", "more", "another proof", "two tickets", "too late", "another pepper", "no such key", "empty",
        "no numbers", "odd letters", "odd digits",
    ],
)  # fmt: skip
def test_any_other_address_is_nobodys(address: str, now_s: float) -> None:
    path, _, query = address.partition("?")
    with pytest.raises(BadKey):
        tickets.caller(path.encode("latin-1"), query.encode("latin-1"), SNAPSHOT, PEPPERS, now_s)


def test_a_suspended_key_sends_no_more() -> None:
    suspended = new_key(expires_at_s=10_000_000, state="suspended")[1]
    with pytest.raises(KeySuspended):
        asked(tickets.sealed(TARGET, suspended.id, PEPPERS, NOW_S), at=snapshot(keys=(suspended,)))
