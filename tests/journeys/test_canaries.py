"""Canaries: a credential, a prompt, an answer and a key's secret, known only here, are looked for wherever they could have leaked."""

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.fakes.service import Service, wait_for
from tests.fakes.upstream import Turn, Upstream, whole
from tests.journeys.signing_in import sign_in_plainly

pytestmark = pytest.mark.journey

CREDENTIAL = "canary-credential-7f3a9c51e2"
PROMPT = "canary-prompt-kestrel-51b0"
ANSWER = "canary-answer-plover-93d2"
LEAKY = ("ok", "stream", "401", "400", "500", "429", "garbage", "cut", "headers", "silent")

# The key is made where a key is made; its text is printed for this test alone.
MAKE_KEY = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import Project
from gateway import actions
row, text = actions.create_virtual_key(project=Project.objects.get(name="Sandbox"), name="Canary", models=["*"], expires_at=timezone.now() + timedelta(days=1))
print(text)
"""


async def by_path(turn: Turn) -> None:
    """Answer in ways that repeat what the vendor was told: its credential, the prompt, the answer."""
    way = turn.request.path.split("/")[1]
    told = turn.request.headers.get("authorization", "") + turn.request.body.decode("utf-8", "replace")
    error = json.dumps({"error": {"message": f"you said {told}", "type": "invalid_request_error", "param": None, "code": told[:100]}}).encode()
    message = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    event = b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": ANSWER}}]}).encode() + b"\n\n"
    if way in ("401", "400", "500", "429"):
        await whole(error, f"{way} Refused")(turn)
    elif way == "ok":
        await whole(json.dumps({"choices": [message], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}).encode())(turn)
    elif way == "garbage":
        await whole(told.encode() + ANSWER.encode())(turn)
    elif way == "headers":
        await whole(b"{}", headers=f"content-type: application/json\r\nx-echo: {CREDENTIAL}\r\nset-cookie: {CREDENTIAL}\r\nbad header {told}\r\n".encode())(
            turn
        )
    elif way == "silent":
        await turn.hang()
    else:
        await turn.start_stream()
        await turn.chunk(event)
        await turn.chunk(b"data: [DONE]\n\n" if way == "stream" else b"data: " + error + b"\n\n")
        await turn.chunk(b"")


@pytest.fixture(scope="module")
def key(service: Service) -> Iterator[str]:
    """A fresh key's text, after calls with it went well and wrong in every way."""
    text = service.manage("shell", "-v", "0", "-c", MAKE_KEY).strip().splitlines()[-1]
    with Upstream(script=by_path) as upstream:
        deadlines = {"first_byte_timeout_ms": 300, "idle_timeout_ms": 300}
        account = {"provider": "openai_compatible", "credential": CREDENTIAL, **deadlines}
        service.add_models({f"ca-{way}": [{**account, "base_url": f"{upstream.url}/{way}"}] for way in LEAKY})
        yield text


@pytest.fixture(scope="module")
def heard(service: Service, key: str) -> list[httpx.Response]:
    """Everything callers and browsers were told."""
    told = []
    with httpx.Client(headers={"authorization": f"Bearer {key}", "user-agent": "canary"}, timeout=20) as client:
        for way in LEAKY:
            for streamed in (False, True):
                body = {"model": f"ca-{way}", "stream": streamed, "messages": [{"role": "user", "content": PROMPT}]}
                told.append(client.post(f"{service.base_url}/chat/completions", json=body))
                assert told[-1].status_code in (200, 400, 429, 502, 503, 504)
        for body in (f'{{"model":"{PROMPT}"', json.dumps({"model": "ca-ok", "messages": PROMPT, "stream": PROMPT})):
            told.append(client.post(f"{service.base_url}/chat/completions", content=body))
        told.append(client.get(f"{service.base_url}/key"))
        told.append(client.get(f"{service.base_url}/models?key={quote(key)}"))
        told.append(client.post(f"{service.base_url}/nowhere?key={quote(key)}", json={}))
        told.append(client.get(f"{service.origin}/no-page?key={quote(key)}"))
    for given in (key[:-1], key + "x", key.replace("vk", "sa", 1)):
        told.append(httpx.get(f"{service.base_url}/models", headers={"x-api-key": given}))
    last = [answer.headers["x-request-id"] for answer in told if "x-sgw-model" in answer.headers][-1]
    service.row_of(last)
    return told


def forms(secret: str) -> list[bytes]:
    """Return a secret in the ways it may be written."""
    return [secret.encode(), secret.encode("utf-16-le"), secret.encode().hex().encode()]


def files_with(folder: Path, secrets: list[str]) -> list[str]:
    """Return the files below a folder that hold a secret, compressed or not."""
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            continue  # SQLite takes its side files away with the last connection; what is gone holds nothing
        data += b"".join(inflated(data[match.start() :]) for match in re.finditer(b"\x1f\x8b\x08|x\x9c", data))
        found += [file.name for secret in secrets if any(form in data for form in forms(secret))]
    return found


def inflated(data: bytes) -> bytes:
    """Return what a zlib or gzip stream holds, nothing for what is none."""
    try:
        return zlib.decompressobj(47).decompress(data, 10_000_000)
    except zlib.error:
        return b""


def secret_of(key: str) -> str:
    """Return the part of a key that nobody else may know."""
    return key.rsplit("_", 1)[1][:32]


def test_no_caller_hears_a_credential_or_a_key(key: str, heard: list[httpx.Response]) -> None:
    for answer in heard:
        said = answer.text + str(answer.headers)
        assert CREDENTIAL not in said
        assert secret_of(key) not in said


def test_our_own_errors_do_not_repeat_what_was_said(heard: list[httpx.Response]) -> None:
    ours = [answer for answer in heard if answer.status_code != 200 and "from_provider" not in answer.text]
    assert len(ours) > 10
    for answer in ours:
        assert ANSWER not in answer.text
        assert PROMPT not in answer.text


def test_the_log_holds_none_of_them(service: Service, key: str, heard: list[httpx.Response]) -> None:
    # lines are written once a second, in order
    served = [answer.headers["x-request-id"] for answer in heard if "x-sgw-model" in answer.headers]
    wait_for(lambda: served[-1] in service.log(), 10, "the last line is written")
    log = service.log()
    assert log.count('"event":"call"') > len(LEAKY)
    for secret in (CREDENTIAL, PROMPT, ANSWER, secret_of(key)):
        assert secret not in log


@pytest.mark.usefixtures("heard")
def test_the_admin_shows_none_of_them(service: Service, key: str) -> None:
    pages = ["/admin/", "/admin/gateway/provideraccount/", "/admin/accounts/virtualkey/", "/admin/billing/usagerecord/", "/admin/gateway/model/"]
    with httpx.Client(base_url=service.origin, follow_redirects=True, timeout=30) as browser:
        entered = sign_in_plainly(browser, service.demo["users"]["admin"], service.demo["password"], service.demo["totp"]["admin"])
        assert entered.url.path == "/admin/"
        seen = 0
        while pages:
            page = browser.get(pages.pop())
            assert page.status_code == 200
            seen += 1
            for secret in (CREDENTIAL, PROMPT, ANSWER, secret_of(key)):
                assert secret not in page.text
            if page.url.path in ("/admin/gateway/provideraccount/", "/admin/accounts/virtualkey/", "/admin/billing/usagerecord/"):
                pages += sorted(set(re.findall(rf'href="({page.url.path}[^"/]+/change/)', page.text)))[:5]
        assert seen > 8


@pytest.mark.usefixtures("heard")
def test_the_data_directory_holds_none_of_them(service: Service, key: str) -> None:
    present = {path.name.partition("-")[0] for path in service.data_dir.rglob("*") if path.is_file()}
    assert {"symbiosis.sqlite3", "current"} <= present
    assert list((service.data_dir / "journal").rglob("*.journal")) != []
    assert files_with(service.data_dir, [CREDENTIAL, PROMPT, ANSWER, secret_of(key)]) == []


def test_the_search_finds_what_is_there(service: Service, key: str, heard: list[httpx.Response], tmp_path: Path) -> None:
    """The negatives above mean something: the demo key stands in demo.json, and answers did reach the callers."""
    assert files_with(service.data_dir, [secret_of(service.key)]) == ["demo-facts.json", "demo.json"]
    assert sum(ANSWER in answer.text for answer in heard) >= 2
    packer = zlib.compressobj(wbits=31)
    (tmp_path / "packed").write_bytes(b"junk" + packer.compress(key.encode()) + packer.flush())
    assert files_with(tmp_path, [secret_of(key)]) == ["packed"]
