"""What vendors keep, by the vendors' own SDKs on provider paths: each project sees its own, and names nothing else, wherever ids stand."""

import io
import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from tests.fakes.service import Service

pytestmark = pytest.mark.journey

OPENAI, GOOGLE, PLAIN, CLAUDE = "t-kept-chat-0", "t-kept-gemini-0", "t-kept-plain-0", "t-kept-claude-0"
OUTSIDER = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import Project
from gateway.actions import create_virtual_key
sandbox = Project.objects.get(name="Sandbox")
other = Project.objects.create(name="Outsider", business_unit=sandbox.business_unit)
for models in (["*"], ["kept-chat"]):
    print(create_virtual_key(project=other, name=models[0], models=models, expires_at=timezone.now() + timedelta(days=1))[1])
"""


@pytest.fixture(scope="module")
def keys(service: Service) -> list[str]:
    """The accounts of this module, and two keys of another project, the second for one model alone."""
    service.add_models(
        {
            "kept-chat": [{"allow_unknown_endpoints": True}],
            "kept-plain": [{}],
            "kept-gemini": [{"provider": "simulator_google", "upstream_model": "sim-gemini", "allow_unknown_endpoints": True, "options": {"reads": "gs://shared/a"}}],
            "kept-claude": [{"provider": "simulator_anthropic", "upstream_model": "sim-claude"}],
            "kept-responses": [{"provider": "simulator_responses"}],
            "kept-azure": [{"provider": "azure", "options": {"api_version": "2024-10-21"}}],
            **{f"kept-{provider}": [{"provider": provider}] for provider in ("groq", "mistral")},
        }
    )
    return service.manage("shell", "-v", "0", "-c", OUTSIDER).split()


@pytest.fixture
def outsider(keys: list[str]) -> str:
    return keys[0]


def client_of(service: Service, key: str = "", path: str = f"/{OPENAI}") -> openai.OpenAI:
    return openai.OpenAI(base_url=service.base_url + path, api_key=key or service.key, max_retries=0)


def google_of(service: Service, key: str = "", path: str = f"/v1/{GOOGLE}", **headers: str) -> genai.Client:
    return genai.Client(api_key=key or service.key, http_options=types.HttpOptions(base_url=service.origin + path, headers=headers))


def claude_of(service: Service, key: str = "", path: str = "") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=service.origin + path, api_key=key or service.key, max_retries=0, default_headers={"x-sgw-provider": CLAUDE})


def file_of(client: genai.Client, content: bytes = b"Hello") -> types.File:
    return client.files.upload(file=io.BytesIO(content), config=types.UploadFileConfig(mime_type="text/plain", display_name="a"))


def test_objects_are_their_projects_alone(service: Service, outsider: str) -> None:
    with client_of(service) as own, client_of(service, outsider) as other:
        first = own.vector_stores.create(name="first")
        theirs = [other.vector_stores.create(name="theirs") for _ in range(5)]
        second = own.vector_stores.create(name="second")
        # pages that hold nothing of the project are passed over
        assert [row.id for row in own.vector_stores.list(limit=2)] == [second.id, first.id]
        assert {row.id for row in other.vector_stores.list(limit=2)} == {row.id for row in theirs}
        assert own.vector_stores.retrieve(first.id).name == "first"
        for stranger in (theirs[0].id, "vs_never"):
            for reach in (own.vector_stores.retrieve, own.vector_stores.delete, own.vector_stores.files.list):
                with pytest.raises(openai.NotFoundError) as caught:
                    list(reach(stranger))
                assert caught.value.code == "not_found"
        assert own.vector_stores.delete(first.id).deleted
        with pytest.raises(openai.NotFoundError):
            own.vector_stores.retrieve(first.id)
        assert [row.id for row in own.vector_stores.list()] == [second.id]
        assert other.vector_stores.retrieve(theirs[0].id).id == theirs[0].id


def test_ids_in_bodies_are_looked_up_too(service: Service, outsider: str) -> None:
    with client_of(service) as own, client_of(service, outsider) as other:
        store, thread = own.vector_stores.create(), other.beta.threads.create()
        with pytest.raises(openai.NotFoundError) as caught:
            own.vector_stores.files.create(vector_store_id=store.id, file_id="file-other")
        assert caught.value.param == "file_id"
        with pytest.raises(openai.NotFoundError):
            own.beta.threads.messages.list(thread.id).data  # noqa: B018
        part: Any = {"type": "file", "file": {"file_id": "file-other"}}
        for model, path in (("kept-chat", ""), ("sim-chat", f"/{OPENAI}")):
            with client_of(service, path=path) as asking, pytest.raises(openai.NotFoundError) as caught:
                asking.chat.completions.create(model=model, messages=[{"role": "user", "content": [part]}])
            assert (caught.value.code, caught.value.param) == ("not_found", "messages[0].content[0].file.file_id")
        hidden = b'{"model":"sim-chat","messages":[{"role":"user","content":[{"type":"file","file":{"file\\u005fid":"file-other"}}]}]}'
        address = f"{service.base_url}/{OPENAI}/chat/completions"
        answer = httpx2.post(address, content=hidden, headers={"authorization": f"Bearer {service.key}", "content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_file_goes_to_google_and_is_used_by_its_project_alone(service: Service, outsider: str) -> None:
    own, other = google_of(service), google_of(service, outsider)
    mine, theirs = file_of(own), file_of(other, b"Goodbye")
    assert (mine.mime_type, mine.size_bytes, mine.display_name) == ("text/plain", 5, "a")
    assert mine.name and theirs.name and mine.uri
    assert mine.name in [file.name for file in own.files.list()] and theirs.name not in [file.name for file in own.files.list()]
    assert own.files.get(name=mine.name).uri == mine.uri
    with pytest.raises(errors.ClientError) as caught:
        own.files.get(name=theirs.name)
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    asked: Any = [mine, "What does it say?"]
    for client, model in ((own, "sim-gemini"), (google_of(service, path=""), "kept-gemini")):
        assert client.models.generate_content(model=model, contents=asked).text
    for client, model in ((other, "sim-gemini"), (google_of(service, outsider, ""), "kept-gemini")):
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model=model, contents=asked)
        assert caught.value.code == 404
    own.files.delete(name=mine.name)
    with pytest.raises(errors.ClientError):
        own.files.get(name=mine.name)


def test_caches_are_their_projects_alone(service: Service, outsider: str) -> None:
    own, other = google_of(service), google_of(service, outsider)
    cache = own.caches.create(model="sim-gemini", config=types.CreateCachedContentConfig(contents="A long text.", ttl="300s"))
    assert cache.name
    config = types.GenerateContentConfig(cached_content=cache.name)
    assert own.models.generate_content(model="sim-gemini", contents="Hello", config=config).text
    with pytest.raises(errors.ClientError) as caught:
        other.models.generate_content(model="sim-gemini", contents="Hello", config=config)
    assert caught.value.code == 404
    assert [one.name for one in own.caches.list()] == [cache.name]
    assert list(other.caches.list()) == []


def test_googles_own_paths_find_the_account(service: Service, outsider: str) -> None:
    named, plain, other = google_of(service, path="", **{"x-sgw-provider": GOOGLE}), google_of(service, path=""), google_of(service, outsider, "")
    file = file_of(named, b"x" * 20_000_000)
    assert (file.size_bytes, file.name) == (20_000_000, plain.files.get(name=file.name or "").name)
    with pytest.raises(errors.ClientError) as caught:
        file_of(plain)
    assert (caught.value.code, "x-sgw-provider" in str(caught.value)) == (400, True)
    with pytest.raises(errors.ClientError):
        other.files.get(name=file.name or "")


def test_an_upload_address_is_good_for_that_upload_alone(service: Service, outsider: str) -> None:
    start = {"x-goog-api-key": service.key, "x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    begun = httpx2.post(f"{service.origin}/v1/{GOOGLE}/upload/v1beta/files", json={"file": {}}, headers=start)
    address = begun.headers["x-goog-upload-url"]
    place = address.partition("://")[2].partition("/")[2]
    assert (begun.status_code, place.startswith(f"v1/{GOOGLE}/upload/v1beta/files?upload_id="), service.key in address) == (200, True, False)
    send = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    for wrong in (address.partition("&sgw_upload=")[0], address.replace("upload_id=", "upload_id=0"), address.replace("/upload/v1beta/files", "/v1beta/files")):
        assert httpx2.post(wrong, content=b"Hello", headers=send).status_code == 401
    done = httpx2.post(address, content=b"Hello", headers=send)
    assert (done.status_code, done.headers["x-goog-upload-status"], done.json()["file"]["sizeBytes"]) == (200, "final", "5")
    own = google_of(service)
    assert own.files.get(name=done.json()["file"]["name"]).size_bytes == 5


def test_places_are_read_only_where_the_account_says_so(service: Service, outsider: str) -> None:
    for path, model in (("", "kept-gemini"), (f"/v1/{GOOGLE}", "sim-gemini")):
        client = google_of(service, path=path)
        parts: list[Any] = [types.Part.from_uri(file_uri=f"gs://shared/{place}", mime_type="application/pdf") for place in ("a/b.pdf", "ab/b.pdf")]
        assert client.models.generate_content(model=model, contents=[parts[0]]).text
        with pytest.raises(errors.ClientError, match="the option `reads`") as caught:
            client.models.generate_content(model=model, contents=parts)
        assert caught.value.code == 400
    client = google_of(service)
    with pytest.raises(errors.ClientError, match="the option `reads`"):
        client.caches.create(model="sim-gemini", config=types.CreateCachedContentConfig(contents=types.Content(parts=[parts[1]]), ttl="300s"))


def test_what_cannot_be_told_apart_is_not_reached(service: Service, outsider: str) -> None:
    with httpx2.Client(base_url=service.base_url, headers={"authorization": f"Bearer {service.key}"}) as asking:
        for method, path in (
            ("GET", f"/{OPENAI}/organization/admin_api_keys"), ("POST", f"/{OPENAI}/realtime/client_secrets"), ("GET", f"/{OPENAI}/widgets"),
            ("POST", f"/{OPENAI}/widgets/widget_1"), ("GET", f"/{OPENAI}/vector_stores/"), ("GET", f"/{OPENAI}/Vector_Stores"),
            ("GET", f"/{PLAIN}/vector_stores"), ("DELETE", f"/{OPENAI}/models/sim-chat"), ("GET", f"/{OPENAI}/vector_stores/%2e%2e/x"),
        ):  # fmt: skip
            answer = asking.request(method, path)
            assert (path, answer.status_code, answer.json()["error"]["code"]) == (path, 404, "unknown_endpoint")
        assert asking.get(f"/{OPENAI}/models/sim-chat").json()["id"] == "sim-chat"
        refused = asking.get(f"/{OPENAI}/vector_stores?k%65y=sk-other")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "key")
        # what has no ids passes, and is the vendor's to answer
        assert asking.post(f"/{OPENAI}/tokenize", json={}).json()["error"]["sgw"]["from_provider"]


@pytest.mark.parametrize(("path", "model"), [("", "kept-claude"), (f"/v1/{CLAUDE}", "sim-claude")])
def test_anthropics_files_are_their_projects_alone(service: Service, outsider: str, path: str, model: str) -> None:
    own, other = claude_of(service, path=path), claude_of(service, outsider, path)
    mine, theirs = (client.beta.files.upload(file=("a.txt", b"Hello", "text/plain")) for client in (own, other))
    assert (mine.filename, mine.mime_type, mine.size_bytes, mine.downloadable) == ("a.txt", "text/plain", 5, False)
    listed = [{file.id for file in client.beta.files.list(limit=1)} for client in (own, other)]
    assert [(mine.id in ids, theirs.id in ids) for ids in listed] == [(True, False), (False, True)]
    assert own.beta.files.retrieve_metadata(mine.id) == mine
    for reach in (own.beta.files.retrieve_metadata, own.beta.files.download, own.beta.files.delete):
        with pytest.raises(anthropic.NotFoundError) as caught:
            reach(theirs.id)
        told: Any = caught.value.body
        assert (told["type"], told["error"]["type"]) == ("error", "not_found_error")
    with pytest.raises(anthropic.BadRequestError, match="not downloadable"):
        own.beta.files.download(mine.id)
    asked: Any = {"model": model, "max_tokens": 99, "betas": ["files-api-2025-04-14"]}
    for kind in ("document", "image"):
        block: Any = {"type": kind, "source": {"type": "file", "file_id": mine.id}}
        said: Any = [{"role": "user", "content": [block, {"type": "text", "text": "What does it say?"}]}]
        assert own.beta.messages.create(messages=said, **asked).content
        with pytest.raises(anthropic.NotFoundError, match=r"messages\[0\].content\[0\].source.file_id"):
            other.beta.messages.create(messages=said, **asked)
    assert own.beta.files.delete(mine.id).id == mine.id
    with pytest.raises(anthropic.NotFoundError):
        own.beta.files.retrieve_metadata(mine.id)


def test_a_file_at_anthropic_goes_to_no_other_vendor(service: Service, outsider: str) -> None:
    own = claude_of(service)
    file = own.beta.files.upload(file=("a.txt", b"Hello", "text/plain"))
    said: Any = [{"role": "user", "content": [{"type": "container_upload", "file_id": file.id}]}]
    with pytest.raises(anthropic.BadRequestError, match="does not serve 'kept-chat'"):
        own.beta.messages.create(model="kept-chat", max_tokens=9, messages=said)
    with pytest.raises(openai.BadRequestError, match="does not serve"), client_of(service, path="") as asking:
        part: Any = {"type": "file", "file": {"file_id": file.id}}
        asking.chat.completions.create(model="kept-chat", messages=[{"role": "user", "content": [part]}])


def test_nothing_is_kept_at_a_vendor_whose_models_a_key_may_not_use(service: Service, keys: list[str]) -> None:
    for path in (f"/v1/{CLAUDE}", ""):
        narrow = claude_of(service, keys[1], path)
        for reach in (lambda client=narrow: client.beta.files.upload(file=("a.txt", b"Hello", "text/plain")), narrow.beta.files.list):
            with pytest.raises(anthropic.APIStatusError) as caught:
                reach()
            assert caught.value.status_code == (403 if path else 400)
    with client_of(service, keys[1]) as allowed:
        assert allowed.vector_stores.create(name="mine").name == "mine"


def test_what_code_made_for_an_answer_is_its_projects_alone(service: Service, outsider: str) -> None:
    own, other = claude_of(service), claude_of(service, outsider)
    asked: Any = {"model": "kept-claude", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}
    tools: Any = [{"type": "code_execution_20250825", "name": "code_execution"}]
    with own.beta.messages.stream(tools=tools, **asked) as stream:
        streamed = stream.get_final_message()
    for answer in (own.beta.messages.create(tools=tools, **asked), streamed):
        assert answer.container is not None
        result: Any = next(block for block in answer.content if block.type == "bash_code_execution_tool_result")
        made = result.content.content[0].file_id
        assert own.beta.files.download(made).read() == b"made by code"
        assert own.beta.messages.create(container=answer.container.id, **asked).content
        with pytest.raises(anthropic.NotFoundError):
            other.beta.files.download(made)
        with pytest.raises(anthropic.NotFoundError, match="container"):
            other.beta.messages.create(container=answer.container.id, **asked)


def test_what_was_made_for_an_openai_answer_is_its_projects_alone(service: Service, outsider: str) -> None:
    with client_of(service, path="") as own, client_of(service, outsider, "") as other:
        tools: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]
        asked: Any = {"model": "kept-responses", "input": "Hello", "store": False}
        events = list(own.responses.create(tools=tools, stream=True, **asked))
        assert events[-1].type == "response.completed"
        for response in (own.responses.create(tools=tools, **asked), events[-1].response):
            ran = next(item for item in response.output if item.type == "code_interpreter_call")
            again: Any = [{"type": "code_interpreter", "container": ran.container_id}]
            assert own.responses.create(tools=again, **asked).status == "completed"
            with pytest.raises(openai.NotFoundError) as caught:
                other.responses.create(tools=again, **asked)
            assert caught.value.param == "tools[0].container"
        said: Any = [{"role": "user", "content": "Hello"}]
        sound: Any = {"model": "kept-chat", "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
        whole = own.chat.completions.create(messages=said, **sound).choices[0].message.audio
        deltas: Any = [chunk.choices[0].delta for chunk in own.chat.completions.create(messages=said, stream=True, **sound) if chunk.choices]
        assert whole is not None
        for identity in (whole.id, deltas[0].audio.id):
            later: Any = [*said, {"role": "assistant", "audio": {"id": identity}}, *said]
            assert own.chat.completions.create(model="kept-chat", messages=later).choices
            with pytest.raises(openai.NotFoundError) as caught:
                other.chat.completions.create(model="kept-chat", messages=later)
            assert caught.value.param == "messages[1].audio"


def test_a_batch_names_what_its_project_keeps_at_the_account_that_takes_it(service: Service, outsider: str) -> None:
    at = {"x-sgw-provider": OPENAI}
    with client_of(service, path="") as own, client_of(service, outsider, "") as other:
        mine, theirs = (client.files.create(file=("a.txt", b"Hello"), purpose="user_data", extra_headers=at).id for client in (own, other))

        def asks(file_id: str) -> tuple[str, bytes]:
            said = [{"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "file", "file": {"file_id": file_id}}]}]
            body = {"model": "kept-chat", "max_tokens": 9, "messages": said}
            return "asks.jsonl", json.dumps({"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}).encode()

        with pytest.raises(openai.NotFoundError) as caught:
            own.files.create(file=asks(theirs), purpose="batch")
        assert caught.value.param == "requests.0.messages[0].content[1].file.file_id"
        file = own.files.create(file=asks(mine), purpose="batch")
        batch = own.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert own.batches.retrieve(batch.id).status == "completed"
        # a file that is gone by the time a batch begins
        again = own.files.create(file=asks(mine), purpose="batch")
        own.files.delete(mine)
        with pytest.raises(openai.NotFoundError):
            own.batches.create(input_file_id=again.id, endpoint="/v1/chat/completions", completion_window="24h")


def test_a_batch_of_messages_goes_to_the_account_that_holds_its_files(service: Service, outsider: str) -> None:
    own, other = claude_of(service), claude_of(service, outsider)
    file = own.beta.files.upload(file=("a.txt", b"Hello", "text/plain"))
    said: Any = [{"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": file.id}}]}]
    asks: Any = [{"custom_id": "one", "params": {"model": "kept-claude", "max_tokens": 9, "messages": said}}]
    # no account is named: the file says it
    plain = anthropic.Anthropic(base_url=service.origin, api_key=service.key, max_retries=0)
    batch = plain.messages.batches.create(requests=asks)
    assert plain.messages.batches.retrieve(batch.id).request_counts.succeeded == 1
    with pytest.raises(anthropic.NotFoundError, match=r"requests\.0\.messages"):
        other.messages.batches.create(requests=asks)
    elsewhere: Any = [{"custom_id": "one", "params": {**asks[0]["params"], "model": "sim-claude"}}]
    with pytest.raises(anthropic.BadRequestError, match=f"kept at '{CLAUDE}'"):
        plain.messages.batches.create(requests=elsewhere)


@pytest.mark.parametrize("path", ["t-kept-azure-0/openai/v1", "t-kept-groq-0"])
def test_files_and_batches_at_others_who_speak_openai_are_their_projects_alone(service: Service, outsider: str, path: str) -> None:
    with client_of(service, path=f"/{path}") as own, client_of(service, outsider, f"/{path}") as other:
        body = {"model": "sim-chat", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
        asks = json.dumps({"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}).encode()
        file = own.files.create(file=("asks.jsonl", asks), purpose="batch")
        batch = own.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        done = own.batches.retrieve(batch.id)
        assert (done.status, [one.id for one in own.batches.list()]) == ("completed", [batch.id])
        assert done.output_file_id in [one.id for one in own.files.list()] and [*other.files.list(), *other.batches.list()] == []
        for reach in (lambda: other.files.content(str(done.output_file_id)), lambda: other.batches.cancel(batch.id), lambda: other.files.delete(file.id)):
            with pytest.raises(openai.NotFoundError):
                reach()


def test_files_at_mistral_are_their_projects_alone(service: Service, outsider: str) -> None:
    with client_of(service, path="/t-kept-mistral-0") as own, client_of(service, outsider, "/t-kept-mistral-0") as other:
        mine, theirs = (client.files.create(file=("a.pdf", b"Hello"), purpose="user_data").id for client in (own, other))
        assert ([one.id for one in own.files.list()], own.files.content(mine).read()) == ([mine], b"Hello")
        with pytest.raises(openai.NotFoundError):
            own.files.content(theirs)
        part: Any = {"type": "file", "file_id": theirs}
        with pytest.raises(openai.NotFoundError) as caught:
            own.chat.completions.create(model="sim-chat", messages=[{"role": "user", "content": [part]}])
        assert caught.value.param == "messages[0].content[0].file_id"
