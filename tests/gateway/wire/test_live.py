"""What messages of live sessions weigh and what they cost, on both wires."""

import json
from typing import Any

import pytest

from gateway.terms import Usage
from gateway.wire import WireError, live_endpoints
from gateway.wire.gemini.live import Meter as GeminiMeter
from gateway.wire.gemini.live import read_setup
from gateway.wire.live import Said, Weight
from gateway.wire.openai_chat.realtime import Meter

AT = "clientContent.turns[0].parts[0].fileData.fileUri"
SECOND = "A" * 64_000


def tokens(given: int, cached: int = 0, sound: int = 0, output: int = 0, spoken: int = 0) -> Usage:
    """Return usage."""
    return Usage(input_tokens=given, cached_tokens=cached, audio_input_tokens=sound, output_tokens=output, audio_output_tokens=spoken)


def openai(**session: Any) -> Meter:
    """Return a meter that was told of a session."""
    meter = Meter("talk", "gpt-realtime")
    meter.said(json.dumps({"type": "session.created", "session": session}))
    return meter


def weight_of(meter: Any, message: Any) -> Weight:
    """Return what a caller's message weighs."""
    found: Weight = meter.asked(json.dumps(message)).weight
    return found


def item(**part: Any) -> dict[str, Any]:
    """Return an event that adds one part."""
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [part]}}


def test_sound_counts_by_its_time_and_not_by_its_letters() -> None:
    meter = openai()
    assert weight_of(meter, {"type": "input_audio_buffer.append", "audio": SECOND}) == Weight(tokens=10, audio_tokens=10, most_tokens=20)
    said = meter.said(json.dumps({"type": "response.output_audio.delta", "delta": SECOND[:-2]}))
    assert said == Said(weight=Weight(tokens=20, audio_tokens=20, most_tokens=40))
    older = meter.said(json.dumps({"type": "response.audio.delta", "delta": SECOND[:-2]}))
    assert older == said


@pytest.mark.parametrize(
    "session",
    [
        {"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}},
        {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"},
    ],
)
def test_telephone_sound_takes_fewer_bytes(session: dict[str, Any]) -> None:
    meter = openai(**session)
    assert weight_of(meter, {"type": "input_audio_buffer.append", "audio": "A" * 10_660}).tokens == 10
    assert meter.said(json.dumps({"type": "response.audio.delta", "delta": "A" * 10_658})).weight.tokens == 20


def test_sound_within_an_item_is_sound_and_a_text_that_claims_to_be_is_none() -> None:
    meter = openai()
    assert weight_of(meter, item(type="input_audio", audio=SECOND)).most_tokens < 250
    assert weight_of(meter, item(type="input_text", text="x", audio=SECOND)).most_tokens > 64_000
    assert weight_of(meter, {"type": "input_audio_buffer.append", "audio": SECOND, "text": "x"}).most_tokens > 64_000
    assert weight_of(meter, {"type": "response.create", "response": {"input": [item(type="input_audio", audio=SECOND)["item"]]}}).most_tokens < 300


def test_a_picture_counts_as_one_whatever_its_bytes() -> None:
    assert weight_of(openai(), item(type="input_image", image_url="data:image/png;base64," + SECOND)).most_tokens < 4_500


@pytest.mark.parametrize("kind", ["response.output_text.delta", "response.output_audio_transcript.delta", "response.function_call_arguments.delta"])
def test_every_byte_of_text_may_be_a_token(kind: str) -> None:
    assert openai().said(json.dumps({"type": kind, "delta": "x" * 38})).weight == Weight(tokens=10, most_tokens=40)


def test_transcripts_of_what_the_user_said_are_no_output() -> None:
    assert openai().said(json.dumps({"type": "conversation.item.input_audio_transcription.delta", "delta": "hello"})) == Said()


def test_a_response_is_under_way_from_its_beginning_to_its_end() -> None:
    meter = openai()
    seen = []
    for kind in ("response.created", "response.created", "response.done", "response.done", "response.done"):
        meter.said(json.dumps({"type": kind, "response": {"usage": None}}))
        seen.append(meter.is_speaking)
    assert seen == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 100, "output_tokens": 30, "output_token_details": {"audio_tokens": 20},
                "input_token_details": {"audio_tokens": 40, "cached_tokens": 30, "cached_tokens_details": {"audio_tokens": 10}},
            },
            (tokens(100, 30, 30, 30, 20), ""),
        ),
        ({"input_tokens": 5, "output_tokens": 1}, (tokens(5, output=1), "")),
        ({"input_tokens": -5, "output_tokens": 1}, (None, "usage_invalid")),
        ({"input_tokens": "many"}, (None, "usage_invalid")),
        ({"input_tokens": 10**12, "output_tokens": 1}, (None, "usage_invalid")),
        ({"input_tokens": 10, "output_tokens": 1, "input_token_details": {"audio_tokens": 40}}, (tokens(10, sound=10, output=1), "usage_inconsistent")),
        (None, (None, "usage_missing")),
    ],
)  # fmt: skip
def test_usage_of_a_response_is_believed_or_not(usage: Any, expected: tuple[Usage | None, str]) -> None:
    said = openai().said(json.dumps({"type": "response.done", "response": {"status": "completed", "usage": usage}}))
    assert (said.ends, said.has_failed, (said.usage, said.problem)) == (True, False, expected)


@pytest.mark.parametrize("garbage", ["", "{", "[1", "\x00", '{"type": 3}'])
def test_what_is_no_event_is_garbage(garbage: str) -> None:
    with pytest.raises(WireError, match="no") as caught:
        openai().said(garbage)
    assert caught.value.code == "garbage"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        (b"{}", "invalid_request", None),
        ("{", "invalid_request", None),
        ("{}", "invalid_request", "type"),
        ('{"type":"transcription_session.update"}', "unsupported_field", "type"),
        ('{"type":"session.update","session":{"type":"transcription"}}', "unsupported_field", "session.type"),
        ('{"type":"session.update","session":{"input_audio_transcription":{}}}', "invalid_request", "session.input_audio_transcription.model"),
        ('{"type":"session.update","session":{"audio":{"input":{"transcription":"x"}}}}', "invalid_request", "session.audio.input.transcription.model"),
        ('{"type":"session.update","session":{"model":3}}', "invalid_request", "session.model"),
        ('{"type":"session.update","session":{"model":"talk","model":"dear"}}', "invalid_request", "model"),
    ],
)
def test_what_must_not_pass_is_told_with_its_field(message: str | bytes, code: str, param: str | None) -> None:
    with pytest.raises(WireError) as caught:
        openai().asked(message)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    ("session", "transcriber"),
    [
        ({"voice": "alloy"}, None),
        ({"input_audio_transcription": {"model": "whisper-1"}}, "whisper-1"),
        ({"audio": {"input": {"transcription": {"model": "scribe", "language": "de"}}}}, "scribe"),
        ({"audio": {"input": {"transcription": None}}}, ""),
    ],
)
def test_who_is_to_transcribe_is_told(session: dict[str, Any], transcriber: str | None) -> None:
    assert openai().asked(json.dumps({"type": "session.update", "session": session})).transcriber == transcriber


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"type": "tokens", "input_tokens": 20, "output_tokens": 5, "input_token_details": {"audio_tokens": 20}}, (tokens(20, sound=20, output=5), "")),
        ({"type": "duration", "seconds": 2.2}, (tokens(3, sound=3), "")),
        (None, (None, "usage_missing")),
    ],
)
def test_a_transcript_tells_its_own_usage(usage: Any, expected: tuple[Usage | None, str]) -> None:
    said = openai().said(json.dumps({"type": "conversation.item.input_audio_transcription.completed", "transcript": "Hello", "usage": usage}))
    assert (said.is_transcript, said.ends, (said.usage, said.problem)) == (True, True, expected)


def gemini() -> GeminiMeter:
    """Return a meter of a session that is set up."""
    meter = GeminiMeter("talk", "gemini-live")
    meter.asked('{"setup":{"model":"models/talk"}}')
    return meter


def test_googles_sound_counts_by_its_rate() -> None:
    second = "A" * 42_666
    entered = {"realtimeInput": {"audio": {"data": second, "mimeType": "audio/pcm"}}}
    # 33 tokens of sound, and what stands around it as text
    found = weight_of(gemini(), entered)
    assert (found.audio_tokens, found.most_tokens < 33 * 2 + 100) == (33, True)
    older = {"realtime_input": {"media_chunks": [{"data": second, "mime_type": "audio/pcm;rate=8000"}]}}
    assert weight_of(gemini(), older).audio_tokens == 65
    turn = {"clientContent": {"turns": [{"parts": [{"inlineData": {"data": second, "mimeType": "audio/pcm"}}]}]}}
    assert weight_of(gemini(), turn).audio_tokens == 33


def test_data_where_the_model_reads_it_as_text_is_text() -> None:
    result = {"toolResponse": {"functionResponses": [{"name": "f", "response": {"data": "x" * 1_000, "mimeType": "audio/pcm"}}]}}
    found = weight_of(gemini(), result)
    assert (found.audio_tokens, found.most_tokens > 1_000) == (0, True)


def test_googles_usage_ends_a_turn_whenever_it_comes() -> None:
    meter = gemini()
    begun = meter.said('{"serverContent":{"modelTurn":{"parts":[{"text":"Hello"}]}}}')
    assert (begun.begins, begun.ends, begun.weight.tokens, meter.is_speaking) == (True, False, 2, True)
    assert meter.said('{"serverContent":{"modelTurn":{"parts":[{"text":"there"}]}}}').begins is False
    assert (meter.said(b'{"serverContent":{"turnComplete":true}}'), meter.is_speaking) == (Said(), False)
    usage = {
        "promptTokenCount": 50, "responseTokenCount": 20, "thoughtsTokenCount": 4,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}], "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
    }  # fmt: skip
    assert meter.said(json.dumps({"usageMetadata": usage})) == Said(
        ends=True, usage=Usage(input_tokens=50, audio_input_tokens=30, output_tokens=24, reasoning_tokens=4, audio_output_tokens=20)
    )
    assert meter.said('{"usageMetadata":{"totalTokenCount":0}}') == Said()
    assert meter.said('{"usageMetadata":{"promptTokenCount":-1}}') == Said(ends=True, problem="usage_invalid")


def test_a_function_call_is_output() -> None:
    said = gemini().said('{"toolCall":{"functionCalls":[{"name":"f","args":{}}]}}')
    assert (said.begins, said.weight.most_tokens) == (True, len('{"functionCalls":[{"name":"f","args":{}}]}'))


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("{}", "setup"),
        ('{"setup":{}}', "setup.model"),
        ('{"setup":{"model":"models/"}}', "setup.model"),
        ('{"setup":{"model":"m","sessionResumption":{"handle":"another project\'s"}}}', "setup.sessionResumption"),
        ('{"setup":{"model":"m","session_resumption":{"handle":"x"}}}', "setup.sessionResumption"),
        ('{"setup":{"model":"m","sessionResumption":null,"session_resumption":{"handle":"x"}}}', "setup.sessionResumption"),
        ('{"setup":{"model":"m"},"setup":{"model":"n"}}', "setup"),
        (b"\xff", None),
    ],
)
def test_a_setup_that_cannot_be_followed_is_told_with_its_field(message: str | bytes, param: str | None) -> None:
    with pytest.raises(WireError) as caught:
        read_setup(message)
    assert caught.value.param == param


def test_a_setup_keeps_every_byte_but_the_models_name() -> None:
    assert read_setup(b'{"setup": {"model": "models/talk"}}') == "talk"
    meter = GeminiMeter("talk", "gemini-live")
    asked = meter.asked(b'{"setup": {"model": "models/talk", "x": 1.50}}')
    assert json.loads(asked.message) == {"setup": {"model": "models/gemini-live", "x": 1.5}}
    assert b"1.50" in bytes(asked.message)  # type: ignore[arg-type]


CLOUD = "projects/p-1/locations/europe-west4/publishers/google/models/gemini-live"


@pytest.mark.parametrize(
    ("named", "model"),
    [
        (CLOUD, "gemini-live"),
        ("publishers/google/models/gemini-live", "gemini-live"),
        ("projects/p-1/locations/global/endpoints/12", "endpoints/12"),
        ("endpoints/12", "endpoints/12"),
        ("models/gemini-live", "gemini-live"),
        ("projects/p-1/others/x", "projects/p-1/others/x"),
    ],
)
def test_a_setup_may_name_its_model_as_google_cloud_does(named: str, model: str) -> None:
    assert read_setup(json.dumps({"setup": {"model": named}})) == model


@pytest.mark.parametrize("named", ["talk", "models/talk", CLOUD.replace("p-1", "somebody-elses"), CLOUD])
def test_google_cloud_is_told_the_whole_name_in_the_accounts_own_project(named: str) -> None:
    asked = GeminiMeter("talk", CLOUD).asked(json.dumps({"setup": {"model": named}}))
    assert json.loads(asked.message) == {"setup": {"model": CLOUD}}


def test_google_cloud_tells_usage_under_the_names_of_whole_answers() -> None:
    meter = gemini()
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}]}
    said = meter.said(json.dumps({"serverContent": {"turnComplete": True}, "usageMetadata": usage}))
    assert (said.ends, said.usage) == (True, Usage(input_tokens=5, output_tokens=7, audio_output_tokens=7))
    with pytest.raises(WireError, match="once"):
        meter.asked('{"setup":{"model":"models/dear"}}')


def test_paths_of_the_vendors_lead_to_their_endpoints() -> None:
    google = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    expected = {
        "/v1/realtime": ["realtime"],
        "/openai/realtime": ["realtime"],
        "/openai/v1/realtime": ["realtime"],
        google: ["BidiGenerateContent"],
        f"/{google}": ["BidiGenerateContent"],
        google.replace("v1beta", "v1"): ["BidiGenerateContent"],
        google.replace("v1beta", "v1alpha"): ["BidiGenerateContent"],
        f"{google}Constrained": [],
        "/v1/realtime/calls": [],
        "/v2/realtime": [],
    }
    assert {path: [endpoint for endpoint, (_, live) in live_endpoints().items() if live.path.fullmatch(path)] for path in expected} == expected


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"type": "session.update", "session": {"prompt": {"id": "pmpt_1"}}}, "session.prompt"),
        ({"type": "session.update", "session": {"audio": {"output": {"voice": {"id": "voice_1"}}}}}, "session.audio.output.voice"),
        ({"type": "session.update", "session": {"tools": [{"type": "mcp", "tunnel_id": "t"}]}}, "session.tools[0].tunnel_id"),
        ({"type": "response.create", "response": {"conversation": "conv_1"}}, "response.conversation"),
        (item(type="input_file", file_id="file-1"), "item.content[0].file_id"),
    ],
)
def test_a_session_at_openai_names_nothing_that_is_kept(message: Any, named: str) -> None:
    with pytest.raises(WireError) as caught:
        weight_of(openai(), message)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", named)


@pytest.mark.parametrize("conversation", ["auto", "none"])
def test_a_response_stands_in_the_sessions_conversation_or_in_none(conversation: str) -> None:
    assert weight_of(openai(), {"type": "response.create", "response": {"conversation": conversation}}).tokens > 0


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"setup": {"model": "m", "tools": [{"retrieval": {"datastore": "projects/p/d"}}]}}, "setup.tools[0].retrieval.datastore"),
        ({"clientContent": {"turns": [{"parts": [{"fileData": {"fileUri": "files/a"}}]}]}}, AT),
        ({"realtimeInput": {"audio": {"data": ""}}, "clientContent": {"turns": [{"parts": [{"fileData": {"fileUri": "gs://b/a"}}]}]}}, AT),
    ],
)
def test_a_session_at_google_names_nothing_that_is_kept(message: Any, named: str) -> None:
    with pytest.raises(WireError) as caught:
        GeminiMeter("m", "m").asked(json.dumps(message))
    assert (caught.value.code, caught.value.param) == ("unsupported_field", named)
