"""Bedrock's wire as AWS's own SDK sees it: requests it signed, frames it reads."""

from typing import Any

import botocore.session
import httpx
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from gateway.simulator.signatures import ACCESS_KEY_ID, SECRET_ACCESS_KEY

CLAUDE = "sim.anthropic.claude-sonnet-4-5"
WEATHER = {"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}}
CITIES = [{"role": "user", "content": [{"text": "What is the weather in Paris and Rome?"}]}]


def client_of(url: str, key: str = ACCESS_KEY_ID, secret: str = SECRET_ACCESS_KEY) -> Any:
    """Return AWS's client without retries."""
    once = Config(retries={"total_max_attempts": 1}, proxies={})
    session = botocore.session.Session()
    return session.create_client("bedrock-runtime", "eu-central-1", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret, config=once)


@pytest.fixture(scope="module")
def aws(simulator: Any) -> Any:
    return client_of(simulator.base_url)


def say(text: str) -> Any:
    return [{"role": "user", "content": [{"text": text}]}]


def test_an_answer_has_text_and_counts(aws: Any) -> None:
    told = aws.converse(modelId="sim-nova", messages=say('hello [[sim: say="just this" cached=2]]'), system=[{"text": "Be brief."}])
    assert told["output"] == {"message": {"role": "assistant", "content": [{"text": "just this"}]}}
    usage = {"inputTokens": 7, "outputTokens": 2, "totalTokens": 11, "cacheReadInputTokens": 2, "cacheWriteInputTokens": 0}
    assert (told["stopReason"], told["usage"]) == ("end_turn", usage)


def test_a_stream_says_what_the_whole_answer_says(aws: Any) -> None:
    whole = aws.converse(modelId=CLAUDE, messages=say("stream me"))
    events = list(aws.converse_stream(modelId=CLAUDE, messages=say("stream me"))["stream"])
    assert [next(iter(event)) for event in (events[0], *events[-3:])] == ["messageStart", "contentBlockStop", "messageStop", "metadata"]
    said = "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)
    assert said == whole["output"]["message"]["content"][0]["text"]
    assert events[-1]["metadata"]["usage"] == whole["usage"]


def test_tools_are_called_in_pieces_and_their_results_wanted(aws: Any) -> None:
    config = {"tools": [WEATHER]}
    told = aws.converse(modelId="sim-nova", messages=CITIES, toolConfig=config)
    calls = [block["toolUse"] for block in told["output"]["message"]["content"]]
    assert ([call["input"] for call in calls], told["stopReason"]) == ([{"city": "Paris"}, {"city": "Rome"}], "tool_use")
    pieces: dict[int, str] = {}
    for event in aws.converse_stream(modelId="sim-nova", messages=CITIES, toolConfig=config)["stream"]:
        if "contentBlockDelta" in event:
            at = event["contentBlockDelta"]["contentBlockIndex"]
            pieces[at] = pieces.get(at, "") + event["contentBlockDelta"]["delta"]["toolUse"]["input"]
    assert [orjson.loads(piece) for piece in pieces.values()] == [call["input"] for call in calls]
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "rain"}]}} for call in calls]
    history = [*CITIES, told["output"]["message"]]
    after = aws.converse(modelId="sim-nova", messages=[*history, {"role": "user", "content": results}], toolConfig=config)
    assert "The tool returned: rain | rain" in after["output"]["message"]["content"][0]["text"]
    for wrong, words in (({"content": results[:1]}, "Expected toolResult blocks"), ({"content": [{"text": " "}]}, "is blank")):
        with pytest.raises(ClientError, match=words):
            aws.converse(modelId="sim-nova", messages=[*history, {"role": "user", **wrong}], toolConfig=config)


def test_thoughts_are_signed_and_come_back_so_or_are_refused(aws: Any) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    told = aws.converse(modelId=CLAUDE, messages=say("think"), additionalModelRequestFields=thinking)["output"]["message"]
    thought = told["content"][0]["reasoningContent"]["reasoningText"]
    assert thought["text"]
    deltas = [event["contentBlockDelta"]["delta"] for event in aws.converse_stream(
        modelId=CLAUDE, messages=say("think"), additionalModelRequestFields=thinking)["stream"] if "contentBlockDelta" in event]  # fmt: skip
    reasoning = [delta["reasoningContent"] for delta in deltas if "reasoningContent" in delta]
    assert "".join(each.get("text", "") for each in reasoning) == thought["text"]
    assert reasoning[-1] == {"signature": thought["signature"]}
    assert aws.converse(modelId=CLAUDE, messages=[*say("think"), told, *say("and?")])["stopReason"] == "end_turn"
    thought["signature"] = "Zm9yZWlnbg=="
    with pytest.raises(ClientError, match="Invalid `signature`"):
        aws.converse(modelId=CLAUDE, messages=[*say("think"), told, *say("and?")])


def test_a_schema_is_kept(aws: Any) -> None:
    schema = orjson.dumps({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}).decode()
    shape = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema, "name": "answer"}}}}
    told = aws.converse(modelId="sim-nova", messages=say("A city?"), outputConfig=shape)
    assert orjson.loads(told["output"]["message"]["content"][0]["text"]) == {"city": "simulated"}


def test_failures_come_as_aws_tells_them(aws: Any) -> None:
    with pytest.raises(ClientError) as unknown:
        aws.converse(modelId="amazon.nothing-v1:0", messages=say("x"))
    assert unknown.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(ClientError) as slow:
        aws.converse(modelId="sim-nova", messages=say("[[sim: status=429]]"))
    assert slow.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    with pytest.raises(EventStreamError, match="serviceUnavailableException"):
        list(aws.converse_stream(modelId="sim-nova", messages=say('[[sim: in_stream_error say="One two three four five six."]]'))["stream"])
    with pytest.raises(ClientError, match="not for streams of this wire"):
        aws.converse_stream(modelId="sim-nova", messages=say("[[sim: crlf]]"))


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        (ACCESS_KEY_ID, "another/secret/access/key", "signature we calculated does not match"),
        ("AKIAOTHER00000000000", SECRET_ACCESS_KEY, "security token included in the request is invalid"),
    ],
)
def test_a_request_signed_by_another_key_is_refused(simulator_url: str, key: str, secret: str, words: str) -> None:
    with pytest.raises(ClientError, match=words) as caught:
        client_of(simulator_url, key, secret).converse(modelId="sim-nova", messages=say("x"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_signature_is_good_for_its_own_body_path_and_moment_alone(simulator_url: str, aws: Any) -> None:
    sent: list[Any] = []
    aws.meta.events.register_last("before-send.bedrock-runtime.Converse", lambda request, **_: sent.append(request))
    aws.converse(modelId="sim-nova", messages=say("x"))
    headers = {name: value for name, value in sent[0].headers.items() if name.lower() != "content-length"}
    body = sent[0].body
    changed: tuple[tuple[str, bytes, dict[str, Any]], ...] = (
        ("sim-nova", body, {}),
        ("sim-nova", body + b" ", {}),
        (CLAUDE, body, {}),
        ("sim-nova", body, {"X-Amz-Date": b"20200101T000000Z"}),
        ("sim-nova", body, {"Authorization": b"AWS4-HMAC-SHA256 nonsense"}),
        ("sim-nova", body, {"Authorization": b""}),
    )
    told = [httpx.post(f"{simulator_url}/model/{model}/converse", content=content, headers={**headers, **more}) for model, content, more in changed]
    assert [answer.status_code for answer in told] == [200, 403, 403, 403, 403, 401]
    key = httpx.post(f"{simulator_url}/model/sim-nova/converse", content=body, headers={"authorization": "Bearer an-api-key"})
    assert key.json()["stopReason"] == "end_turn"
