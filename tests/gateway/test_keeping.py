"""What is made of a vendor's answers about what it keeps: noted, filtered, forgotten, each for its own project."""

from typing import Any

import orjson
import pytest

from gateway.errors import UnknownEndpoint, UpstreamFailed
from gateway.keeping import Look, check_apart, found_at, named_in
from gateway.plane.objects import Drop, NoSuchObject, Note, ObjectQuestion, Objects, Ownership, Search, Thing
from gateway.plane.passage import Looked
from gateway.provider_path import Place
from gateway.providers import shelf
from gateway.public_urls import PublicUrls
from gateway.wire.kept import find
from tests.gateway.plane.builders import caller, sealed_account, snapshot

CALLER = caller()
URLS = PublicUrls("https://gw.example", "acme", "https://api.vendor.example/v1")


class Known:
    """Whose objects are, in memory; `noted` is what was said about them, in order."""

    def __init__(self, **owners: str) -> None:
        self.owners, self.noted = owners, list[Note]()

    async def ask(self, question: ObjectQuestion) -> Objects:
        if isinstance(question, Note):
            self.noted.append(question)
            if self.owners.setdefault(question.object_id, question.project) != question.project:
                return Objects(ok=True)
            return Objects(ok=True, found=(Thing(account=question.account, kind=question.kind, object_id=question.object_id),))
        if isinstance(question, Drop):
            self.owners.pop(question.object_id)
            return Objects(ok=True)
        assert isinstance(question, Search)
        mine = [one for one in question.object_ids if self.owners.get(one) == question.project]
        return Objects(ok=True, found=tuple(Thing(account="acme", kind="", object_id=one) for one in mine))


def look(known: Known, method: str, rest: str, query: str = "", provider: str = "openai") -> Look:
    collections = shelf()[provider].collections
    assert collections is not None
    return Look(Ownership(known.ask), CALLER, "acme", find(collections, rest), method, (f"/{rest}", query), URLS)


async def given(looking: Look, told: Any) -> Any:
    looked = await looking(orjson.dumps(told))
    assert looked.next_path == ""
    return orjson.loads(looked.body)


async def test_what_is_made_is_noted_before_it_is_told() -> None:
    known = Known()
    told = {"id": "vs_1", "object": "vector_store", "expires_at": 1_800_000_000, "file": {"id": "not-its-own"}}
    assert await given(look(known, "POST", "vector_stores"), told) == told
    expected = Note("prj", CALLER.key.id, "acme", "vector_store", "vs_1", orjson.dumps(told), 1_800_000_000)
    assert known.noted == [expected]


async def test_what_another_project_has_cannot_be_made_ones_own() -> None:
    with pytest.raises(NoSuchObject):
        await look(Known(vs_1="other"), "POST", "vector_stores")(b'{"id":"vs_1"}')


@pytest.mark.parametrize(
    ("method", "rest", "provider", "told", "noted"),
    [
        ("POST", "uploads/u/complete", "openai", {"id": "u", "file": {"id": "file-1", "bytes": 3}}, [("file", "file-1", b'{"id":"file-1","bytes":3}')]),
        ("GET", "fine_tuning/jobs/j", "openai", {"id": "j", "result_files": ["f", "g"]}, [("file", "f", b""), ("file", "g", b"")]),
        ("GET", "vector_stores/v", "openai", {"id": "other"}, []),
        ("POST", "vector_stores/v/files", "openai", {"id": "file-9"}, []),
        ("POST", "videos/v/remix", "openai", {"id": "v2"}, [("video", "v2", b'{"id":"v2"}')]),
        ("POST", "threads/runs", "openai", {"id": "run", "thread_id": "t"}, [("thread", "t", b'{"id":"run","thread_id":"t"}')]),
        ("POST", "upload/v1beta/files", "google", {"file": {"name": "files/a"}}, [("google_file", "files/a", b'{"name":"files/a"}')]),
        ("POST", "upload/v1beta/files", "google", {}, []),
        ("POST", "v1beta/cachedContents", "google", {"name": "cachedContents/c"}, [("cached_content", "cachedContents/c", b'{"name":"cachedContents/c"}')]),
        ("GET", "tokenize", "openai", {"id": "x"}, []),
        ("POST", "v1/batch/jobs", "mistral", {"id": "b", "output_file": None}, [("mistral_batch", "b", b'{"id":"b","output_file":null}')]),
        ("GET", "v1/batch/jobs/b", "mistral", {"id": "b", "output_file": "f", "error_file": "g"}, [("mistral_file", "f", b""), ("mistral_file", "g", b"")]),
        ("POST", "conversations/c/restart", "mistral", {"conversation_id": "d"}, [("conversation", "d", b'{"conversation_id":"d"}')]),
        ("POST", "agents/completions", "mistral", {"id": "cmpl"}, []),
        ("POST", "batches", "together", {"job": {"id": "b"}}, [("together_batch", "b", b'{"job":{"id":"b"}}')]),
        ("GET", "batches/b", "together", {"id": "b", "output_file_id": "f"}, [("together_file", "f", b"")]),
        ("POST", "files/upload", "together", {"id": "f"}, [("together_file", "f", b'{"id":"f"}')]),
    ],
)
async def test_an_answer_tells_what_else_was_made(method: str, rest: str, provider: str, told: Any, noted: list[tuple[str, str, bytes]]) -> None:
    known = Known()
    assert await given(look(known, method, rest, provider=provider), told) == told
    assert [(one.kind, one.object_id, one.seen) for one in known.noted] == noted


async def test_a_listing_holds_what_is_the_projects() -> None:
    rows = [{"id": "a"}, {"id": "b"}, {"id": "c"}, {"other": 1}]
    told = {"object": "list", "data": rows, "first_id": "a", "last_id": "c", "has_more": True, "total": 4000}
    known = Known(a="other", b="prj", c="prj")
    expected = {"object": "list", "data": [{"id": "b"}, {"id": "c"}], "first_id": "b", "last_id": "c", "has_more": True}
    assert await given(look(known, "GET", "vector_stores"), told) == expected


async def test_pages_of_others_are_passed_over() -> None:
    looking = look(Known(a="other", b="other"), "GET", "vector_stores", "limit=2&after=x")
    page = b'{"data":[{"id":"a"},{"id":"b"}],"has_more":true}'
    assert await looking(page) == Looked(next_path="/vector_stores?limit=2&after=b")
    last = await looking(b'{"data":[{"id":"b"}],"has_more":false,"last_id":"b","first_id":"b"}')
    assert orjson.loads(last.body) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


async def test_googles_listings_go_on_by_their_own_tokens() -> None:
    looking = look(Known(), "GET", "v1beta/files", "pageSize=1", provider="google")
    assert await looking(b'{"files":[{"name":"files/a"}],"nextPageToken":"t t"}') == Looked(next_path="/v1beta/files?pageSize=1&pageToken=t+t")
    assert orjson.loads((await looking(b"{}")).body) == {"files": []}


async def test_numbered_pages_are_gathered_on_the_first() -> None:
    known = Known(b="prj", d="prj", a="other", c="other")
    looking = look(known, "GET", "v1/files", "page_size=2", provider="mistral")
    pages = [looking(orjson.dumps({"data": [{"id": one} for one in names], "object": "list", "total": 4})) for names in ("ab", "cd")]
    assert await pages[0] == Looked(next_path="/v1/files?page_size=2&page=1")
    assert await pages[1] == Looked(next_path="/v1/files?page_size=2&page=2")
    assert orjson.loads((await looking(b'{"data":[],"object":"list"}')).body) == {"object": "list", "data": [{"id": "b"}, {"id": "d"}]}
    later = look(known, "GET", "v1/files", "page=1", provider="mistral")
    assert orjson.loads((await later(b'{"data":[{"id":"b"}]}')).body) == {"data": []}


async def test_a_vendor_that_repeats_its_page_is_not_asked_for_ever() -> None:
    looking = look(Known(a="prj"), "GET", "v1/agents", provider="mistral")
    assert await looking(b'[{"id":"a"}]') == Looked(next_path="/v1/agents?page=1")
    assert orjson.loads((await looking(b'[{"id":"a"}]')).body) == [{"id": "a"}]


async def test_a_listing_may_be_nothing_but_its_rows() -> None:
    known = Known(a="prj", b="other")
    assert orjson.loads((await look(known, "GET", "batches", provider="together")(b'[{"id":"a"},{"id":"b"}]')).body) == [{"id": "a"}]
    named_otherwise = look(known, "GET", "evaluation", provider="together")
    assert orjson.loads((await named_otherwise(b'[{"workflow_id":"b"},{"workflow_id":"a"}]')).body) == [{"workflow_id": "a"}]
    with pytest.raises(UpstreamFailed):
        await look(known, "GET", "batches", provider="together")(b'{"data":[{"id":"b"}]}')


@pytest.mark.parametrize("body", [b"[]", b"x", b'{"data":{"id":"a"}}', b'{"data":["a"]}', b'{"data":null}'])
async def test_a_listing_that_makes_no_sense_is_not_passed_on(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        await look(Known(a="prj"), "GET", "vector_stores")(body)


async def test_what_is_deleted_is_forgotten() -> None:
    known = Known(vs_1="prj", vs_2="prj")
    assert await given(look(known, "DELETE", "vector_stores/vs_1"), {"deleted": True}) == {"deleted": True}
    await given(look(known, "DELETE", "vector_stores/vs_2/files/f"), {"deleted": True})
    assert known.owners == {"vs_2": "prj"}


async def test_addresses_are_told_as_ours() -> None:
    told = await given(look(Known(), "GET", "evals/e"), {"next": "https://api.vendor.example/v1/evals/e/runs"})
    assert told == {"next": "https://gw.example/v1/acme/evals/e/runs"}


@pytest.mark.parametrize(
    ("method", "rest", "passes"),
    [
        ("POST", "tokenize", True), ("POST", "v1/audio/isolate", True), ("GET", "tokenize", False), ("DELETE", "tokenize", False),
        ("POST", "widgets/w_1", False), ("POST", "v1beta/models/gemini-2:batchGenerateContent", False),
    ],
)  # fmt: skip
def test_an_unknown_endpoint_passes_only_where_it_can_hold_no_id(method: str, rest: str, passes: bool) -> None:
    place = Place("acme", rest, rest)
    check_apart(method, place, shelf()["vllm"])
    if passes:
        check_apart(method, place, shelf()["openai"])
        return
    with pytest.raises(UnknownEndpoint, match="could not tell whose"):
        check_apart(method, place, shelf()["openai"])


@pytest.mark.parametrize("rest", ["Vector_Stores", "VECTOR_STORES/vs_1", "v1/Files"])
def test_a_collection_has_one_spelling(rest: str) -> None:
    with pytest.raises(UnknownEndpoint, match="as it is written"):
        found_at(Place("acme", rest, rest), snapshot(accounts=(sealed_account("acme"),)))


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=x", b"Multipart/Form-Data;boundary=x", b" multipart/form-data ; boundary=x"])
def test_a_form_is_read_as_one_however_its_type_is_written(kind: bytes) -> None:
    assert named_in(b'--x\r\nContent-Disposition: form-data; name="file_id"\r\n\r\nf\r\n--x--\r\n', kind) == {"file_id": "f"}
