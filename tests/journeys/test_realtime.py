"""Live sessions against the started product, by the openai and google-genai packages and by hand: metered, priced, refused and ended."""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from openai import AsyncAzureOpenAI, AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.fakes.issued import issue
from tests.fakes.service import Service, wait_for
from tests.gateway.plane.test_client import Certificates, certificates

__all__ = ["certificates"]  # a fixture
pytestmark = pytest.mark.journey

WITHIN_S = 20
SECOND = base64.b64encode(bytes(48_000)).decode()
SUSPEND = """
from accounts.actions import set_key_state
from accounts.models import VirtualKey
set_key_state(VirtualKey.objects.get(name="live-doomed"), "suspended")
"""
POOR = """
from accounts.models import VirtualKey
from billing import budgets
from billing.models import Budget
budgets.save_budget(Budget(name="Talk", amount=115_000_000, key=VirtualKey.objects.get(name="live-poor"), mode="hard", period="daily"))
"""
GOOGLE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


@pytest.fixture(scope="module")
def keys(service: Service) -> dict[str, str]:
    """Return keys that differ in what they may do."""
    everything = ["*"]
    wanted = {
        "live-narrow": (["sim-chat"], "active"),
        "live-frozen": (everything, "suspended"),
        "live-doomed": (everything, "active"),
        "live-poor": (everything, "active"),
    }
    return issue(service, wanted)


def text(words: str) -> dict[str, Any]:
    """Return an item of text."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}


def turns(service: Service, session: str, count: int) -> list[dict[str, Any]]:
    """Return the settled turns of a session, once there are so many."""
    return wait_for(lambda: len(rows := service.rows(f"session = '{session}'")) >= count and rows, 10, f"{count} turns of {session}")  # type: ignore[no-any-return]


async def answered(live: AsyncRealtimeConnection) -> list[Any]:
    """Return the events up to the end of a response."""
    events = []
    async with asyncio.timeout(WITHIN_S):
        while not events or events[-1].type != "response.done":
            events.append(await live.recv())
    return events


async def test_the_openai_package_speaks_and_every_response_is_billed(service: Service) -> None:
    client = AsyncOpenAI(api_key=service.key, base_url=service.base_url)
    headers = {"x-sgw-session": "journey-openai"}
    async with client.realtime.connect(model="sim-realtime", extra_headers=headers) as live:
        assert (await live.recv()).type == "session.created"
        await live.session.update(session={"type": "realtime", "instructions": "Be brief.", "model": "sim-realtime"})
        assert (await live.recv()).type == "session.updated"
        await live.conversation.item.create(item=text("Hello out there"))  # type: ignore[arg-type]
        await live.input_audio_buffer.append(audio=SECOND)
        await live.input_audio_buffer.commit()
        await live.response.create()
        first = await answered(live)
        await live.response.create(response={"output_modalities": ["text"]})
        second = await answered(live)
    assert "".join(event.delta for event in first if event.type == "response.output_audio_transcript.delta")
    assert len(base64.b64decode(next(event.delta for event in first if event.type == "response.output_audio.delta"))) == 2_400
    told = [events[-1].response.usage for events in (first, second)]
    rows = turns(service, "journey-openai", 2)
    assert [(row["model"], row["endpoint"], row["usage_source"], row["status"]) for row in rows] == [("sim-realtime", "realtime", "provider", 200)] * 2
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == [(usage.input_tokens, usage.output_tokens) for usage in told]
    # ten tokens of sound were heard; as many were spoken as words
    spoken = told[0].output_token_details.audio_tokens
    texts = told[0].input_token_details.text_tokens
    assert told[0].input_token_details.audio_tokens == 10
    assert rows[0]["cost_nanousd"] == texts * 4_000 + 10 * 32_000 + (told[0].output_tokens - spoken) * 16_000 + spoken * 64_000
    assert (rows[1]["cached_tokens"], rows[1]["audio_output_tokens"]) == (told[1].input_token_details.cached_tokens, 0)


async def test_azures_client_and_a_providers_own_path_lead_there_too(service: Service) -> None:
    azure = AsyncAzureOpenAI(
        api_key=service.key, azure_endpoint=service.origin, api_version="2025-04-01-preview", websocket_base_url=f"ws://127.0.0.1:{service.port}/openai"
    )
    own = AsyncOpenAI(api_key=service.key, base_url=f"{service.base_url}/sim-openai")
    for client in (azure, own):
        async with client.realtime.connect(model="sim-realtime") as live:
            assert (await live.recv()).type == "session.created"


async def test_a_browser_names_its_key_as_a_subprotocol_and_never_hears_it_again(service: Service) -> None:
    url = f"ws://127.0.0.1:{service.port}/v1/realtime?model=sim-realtime"
    async with connect(url, subprotocols=["realtime", f"openai-insecure-api-key.{service.key}"]) as live:  # type: ignore[list-item]
        assert json.loads(await live.recv())["type"] == "session.created"
        assert live.subprotocol == "realtime"
        assert live.response is not None
        assert service.key not in str(live.response.headers)
        assert live.response.headers["x-request-id"].startswith("call_")
        assert live.response.headers["x-sgw-deployment"] == "sim-openai/sim-realtime"
    assert "openai-insecure-api-key" not in service.log()


async def refused(service: Service, path: str, headers: dict[str, str] | None = None, **options: Any) -> tuple[int, Any]:
    """Return status and error of a session that is not begun."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{service.port}{path}", additional_headers=headers or {}, **options):
            pass
    return caught.value.response.status_code, json.loads(caught.value.response.body)["error"]


async def test_refusals_come_before_the_session_with_a_status_of_their_own(service: Service, keys: dict[str, str]) -> None:
    mine = {"authorization": f"Bearer {service.key}"}
    asked = [
        ("/v1/realtime?model=sim-realtime", {}),
        ("/v1/realtime?model=sim-realtime", {"authorization": "Bearer sk-mistyped"}),
        ("/v1/realtime?model=sim-realtime", {**mine, "api-key": "another"}),
        (f"/v1/realtime?model=sim-realtime&key={service.key}", {}),
        ("/v1/realtime?model=sim-realtime", {"authorization": f"Bearer {keys['live-narrow']}"}),
        ("/v1/realtime?model=sim-realtime", {"authorization": f"Bearer {keys['live-frozen']}"}),
        ("/v1/realtime?model=nothing", mine),
        ("/v1/realtime?model=sim-chat", mine),
        ("/v1/realtime", mine),
        ("/v1/realtime?model=sim-realtime&intent=transcription", mine),
        ("/v1/sim-anthropic/realtime?model=sim-realtime", mine),
        ("/v1/nothing/realtime?model=sim-realtime", mine),
        ("/v1/chat/completions", mine),
    ]
    told = [await refused(service, path, headers) for path, headers in asked]
    assert [(status, error["code"]) for status, error in told] == [
        (401, "invalid_api_key"), (401, "invalid_api_key"), (401, "invalid_api_key"), (401, "invalid_api_key"), (403, "model_not_allowed"),
        (403, "key_suspended"), (404, "model_not_found"), (400, "invalid_request"), (400, "invalid_request"), (400, "unsupported_field"),
        (404, "model_not_found"), (404, "unknown_endpoint"), (404, "unknown_endpoint"),
    ]  # fmt: skip
    assert "/requests/new/model?key=" in told[4][1]["sgw"]["request_url"]
    status, error = await refused(service, GOOGLE, {"x-goog-api-key": "no key"})
    assert (status, error["status"]) == (401, "UNAUTHENTICATED")


async def test_a_key_that_is_suspended_ends_its_session_within_a_second(service: Service, keys: dict[str, str]) -> None:
    client = AsyncOpenAI(api_key=keys["live-doomed"], base_url=service.base_url)
    async with client.realtime.connect(model="sim-realtime") as live:
        assert (await live.recv()).type == "session.created"
        await asyncio.to_thread(service.change, SUSPEND)
        async with asyncio.timeout(1):
            event: Any = await live.recv()
            assert (event.type, event.error.code) == ("error", "key_suspended")
            with pytest.raises(ConnectionClosed) as closed:
                await live.recv_bytes()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "key_suspended")


async def test_a_session_ends_when_its_budget_does(service: Service, keys: dict[str, str]) -> None:
    service.change(POOR)
    client = AsyncOpenAI(api_key=keys["live-poor"], base_url=service.base_url)
    async with client.realtime.connect(model="sim-realtime", extra_headers={"x-sgw-session": "journey-poor"}) as live:
        assert (await live.recv()).type == "session.created"
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    await live.conversation.item.create(item=text("Tell me more. " * 20))  # type: ignore[arg-type]
                    await live.response.create()
                    events = await answered_or_refused(live)
                    if events[-1].type == "error":
                        assert events[-1].error.code == "budget_exceeded"
                        await live.recv_bytes()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "budget_exceeded")
    rows = turns(service, "journey-poor", 3)
    # the last could not be held for, all before it stayed within
    assert [(row["status"], row["error_code"]) for row in rows] == [(200, "")] * (len(rows) - 1) + [(402, "budget_exceeded")]
    assert 0 < sum(row["cost_nanousd"] for row in rows) <= 115_000_000


async def answered_or_refused(live: AsyncRealtimeConnection) -> list[Any]:
    """Return the events up to the end of a response, or an error."""
    events = [await live.recv()]
    while events[-1].type not in ("response.done", "error"):
        events.append(await live.recv())
    return events


@contextlib.asynccontextmanager
async def in_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[str]:
    """Give an https address that leads to a port: Google's package asks for live sessions by nothing else."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pour(reader, behind), pour(behind_reader, writer))

    async with await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(("path", "is_cloud"), [("", False), ("/v1/sim-google", False), ("", True)])
async def test_googles_package_speaks_and_every_turn_is_billed(service: Service, certificates: Certificates, path: str, is_cloud: bool) -> None:
    session = f"journey-google{len(path)}{is_cloud}"
    trusting = {"ssl": ssl.create_default_context(cadata=certificates.ca_pem)}
    async with in_tls(service.port, certificates.server) as origin:
        options = types.HttpOptions(base_url=origin + path, headers={"x-sgw-session": session}, async_client_args=trusting)
        client = genai.Client(api_key=service.key, http_options=options, vertexai=is_cloud)
        async with client.aio.live.connect(model="sim-gemini-live", config=types.LiveConnectConfig(response_modalities=[types.Modality.AUDIO])) as live:
            for words in ("Hello out there", "And again"):
                await live.send_client_content(turns=types.Content(role="user", parts=[types.Part(text=words)]), turn_complete=True)
                async with asyncio.timeout(WITHIN_S):
                    told = [message async for message in live.receive()]
                assert told[-1].server_content is not None
                assert told[-1].server_content.turn_complete
        with pytest.raises(errors.APIError, match="not in the catalogue"):
            async with client.aio.live.connect(model="nothing"):
                pass
    usage = told[-1].usage_metadata
    assert usage is not None
    rows = [row for row in turns(service, session, 3) if row["status"] == 200]
    assert [(row["model"], row["endpoint"], row["usage_source"]) for row in rows] == [("sim-gemini-live", "BidiGenerateContent", "provider")] * 2
    # in Google Cloud's words the package does not find what the simulator calls a response
    told_tokens = rows[1]["audio_output_tokens"] if is_cloud else usage.response_token_count
    assert (rows[1]["input_tokens"], rows[1]["audio_output_tokens"]) == (usage.prompt_token_count, told_tokens)
