"""AWS's own SDK (botocore, which boto3 is made of), unmodified but for its endpoint: what a Bedrock account serves, metered, and what it does not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.fakes.service import Service
from tests.gateway.plane.test_client import Certificates, certificates
from tests.journeys.test_realtime import in_tls

__all__ = ["certificates"]  # a fixture

pytestmark = pytest.mark.journey

MODEL = "sim-nova"
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50}
JSON = {"contentType": "application/json", "accept": "application/json"}
Aws = Callable[..., Any]


@pytest.fixture
async def aws(service: Service, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aws]:
    """Calls an operation of a client at an account; the client sends its key by nothing but https."""
    roots = tmp_path / "roots.pem"
    roots.write_text(certificates.ca_pem)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    clients: dict[tuple[str, str], Any] = {}

    async with in_tls(service.port, certificates.server) as origin:

        def client_of(account: str, key: str) -> Any:
            monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
            once = Config(retries={"total_max_attempts": 1}, proxies={})
            session = botocore.session.Session()
            return session.create_client("bedrock-runtime", "eu-central-1", endpoint_url=f"{origin}/v1/{account}", verify=str(roots), config=once)

        async def ask(operation: str, account: str = "sim-bedrock", key: str = service.key, **fields: Any) -> Any:
            client = clients.get((account, key)) or clients.setdefault((account, key), client_of(account, key))
            return await asyncio.to_thread(read, client, operation, fields)

        yield ask
    for client in clients.values():
        client.close()


def read(client: Any, operation: str, fields: dict[str, Any]) -> Any:
    """Return an answer with what streams in it read to the end."""
    told = getattr(client, operation)(**fields)
    if "stream" in told:
        told["stream"] = list(told["stream"])
    if "body" in told:
        told["body"] = list(told["body"]) if operation.endswith("stream") else json.loads(told["body"].read())
    return told


def say(text: str) -> Any:
    return [{"role": "user", "content": [{"text": text}]}]


def row_of(service: Service, told: Any) -> dict[str, Any]:
    return service.row_of(told["ResponseMetadata"]["HTTPHeaders"]["x-request-id"])


def billed(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["endpoint"], row["account"], row["model"], row["usage_source"], row["input_tokens"], row["output_tokens"], row["cost_nanousd"] > 0


async def test_converse_whole_and_streamed(service: Service, aws: Aws) -> None:
    more = {"system": [{"text": "Be brief."}], "inferenceConfig": {"maxTokens": 9}}
    whole = await aws("converse", modelId=MODEL, messages=say('Hello [[sim: say="Hi there."]]'), **more)
    assert whole["output"]["message"] == {"role": "assistant", "content": [{"text": "Hi there."}]}
    usage = whole["usage"]
    assert billed(row_of(service, whole)) == ("converse", "sim-bedrock", MODEL, "provider", usage["inputTokens"], usage["outputTokens"], True)
    streamed = await aws("converse_stream", modelId=MODEL, messages=say('Hello [[sim: say="One two three."]]'))
    said = [event["contentBlockDelta"]["delta"]["text"] for event in streamed["stream"] if "contentBlockDelta" in event]
    usage = streamed["stream"][-1]["metadata"]["usage"]
    assert "".join(said) == "One two three."
    assert billed(row_of(service, streamed)) == ("converse", "sim-bedrock", MODEL, "provider", usage["inputTokens"], usage["outputTokens"], True)
    counted = await aws("count_tokens", modelId=MODEL, input={"converse": {"messages": say("Hello")}})
    assert (counted["inputTokens"] > 0, row_of(service, counted)["cost_nanousd"]) == (True, 0)


async def test_claude_is_invoked_in_anthropics_words(service: Service, aws: Aws) -> None:
    body = json.dumps({**CLAUDE, "messages": [{"role": "user", "content": 'Hello [[sim: say="Hi there."]]'}]})
    whole = await aws("invoke_model", modelId=MODEL, body=body, **JSON)
    assert [block["text"] for block in whole["body"]["content"]] == ["Hi there."]
    usage = whole["body"]["usage"]
    assert billed(row_of(service, whole)) == ("invoke", "sim-bedrock", MODEL, "provider", usage["input_tokens"], usage["output_tokens"], True)
    streamed = await aws("invoke_model_with_response_stream", modelId=MODEL, body=body)
    events = [json.loads(event["chunk"]["bytes"]) for event in streamed["body"]]
    assert "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta") == "Hi there."
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    expected = ("invoke", "sim-bedrock", MODEL, "provider", metrics["inputTokenCount"], metrics["outputTokenCount"], True)
    assert billed(row_of(service, streamed)) == expected


async def test_refusals_are_errors_that_awss_sdk_knows(service: Service, aws: Aws) -> None:
    async def refused(operation: str, **fields: Any) -> tuple[str, int, str]:
        with pytest.raises(ClientError) as caught:
            await aws(operation, **fields)
        told = caught.value.response
        return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Message"]

    in_a_bucket = [{"role": "user", "content": [{"text": "See."}, {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://others/v.mp4"}}}}]}]
    job = {"modelId": MODEL, "modelInput": {"text": "x"}, "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://others/"}}}
    asked: list[tuple[str, dict[str, Any], tuple[str, int, str]]] = [
        ("converse", {"modelId": "nothing", "messages": say("x")}, ("ResourceNotFoundException", 404, "is not in the catalogue")),
        ("converse", {"modelId": MODEL, "messages": say("x"), "key": "sgw_vk_nobody"}, ("UnrecognizedClientException", 401, "not a valid Symbiosis key")),
        ("converse", {"modelId": MODEL, "messages": in_a_bucket}, ("ValidationException", 400, "s3://others/v.mp4")),
        (
            "converse",
            {"modelId": MODEL, "messages": say("x"), "guardrailConfig": {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}},
            ("ValidationException", 400, "Requests name no guardrail"),
        ),
        ("converse_stream", {"modelId": MODEL, "messages": say("x [[sim: status=429]]")}, ("ThrottlingException", 429, "rate limited")),
        ("list_async_invokes", {}, ("ResourceNotFoundException", 404, "is not served at 'async-invoke'")),
        ("start_async_invoke", job, ("ResourceNotFoundException", 404, "is not served at 'async-invoke'")),
    ]
    for operation, fields, (code, status, words) in asked:
        told = await refused(operation, **fields)
        assert told[:2] == (code, status), (operation, told)
        assert words in told[2]


async def test_what_is_allowed_unmetered_still_tells_nothing_of_others(service: Service, aws: Aws) -> None:
    await asyncio.to_thread(service.add_models, {"aws-open": [{"provider": "simulator_bedrock", "upstream_model": MODEL, "allow_unknown_endpoints": True}]})
    job = {"modelId": MODEL, "modelInput": {"text": "x"}, "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://others/"}}}
    for operation, fields, status, words in (
        ("list_async_invokes", {}, 404, "may reach what other projects have"),
        ("start_async_invoke", job, 400, "s3://others/"),
    ):
        with pytest.raises(ClientError, match=words) as caught:
            await aws(operation, account="t-aws-open-0", **fields)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
