"""Plays the essentials through openai 2.x: reads its task as JSON, prints what it met as JSON. Knows nothing of the product."""

import asyncio
import base64
import json
import struct
import sys
from typing import Any

import httpx
import openai
from pydantic import BaseModel

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITIES = [{"role": "user", "content": "What is the weather in Paris, London and Rome?"}]


class Step(BaseModel):
    explanation: str
    value: int


class Solution(BaseModel):
    steps: list[Step]
    final: str
    certain: bool


def say(text: str) -> Any:
    return [{"role": "user", "content": f'Hello [[sim: say="{text}"]]'}]


def client_of(task: Any, answers: list[httpx.Response], key: str = "", path: str = "") -> openai.AsyncOpenAI:
    async def note(answer: httpx.Response) -> None:
        answers.append(answer)

    http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [note]})
    return openai.AsyncOpenAI(base_url=task["base_url"] + path, api_key=key or task["key"], http_client=http)


async def streamed(client: openai.AsyncOpenAI, model: str, **options: Any) -> Any:
    content, finish, usage = "", [], []
    async for chunk in await client.chat.completions.create(model=model, messages=say("One two three."), stream=True, **options):
        content += "".join(choice.delta.content or "" for choice in chunk.choices)
        finish += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
        usage += [chunk.usage.completion_tokens] if chunk.usage or not chunk.choices else []
    return {"content": content, "finish": finish, "usage": usage}


async def streamed_tools(client: openai.AsyncOpenAI, model: str) -> Any:
    calls: dict[int, list[str]] = {}
    finish = []
    async for chunk in await client.chat.completions.create(model=model, messages=CITIES, tools=[WEATHER], stream=True):
        finish += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
        for call in chunk.choices[0].delta.tool_calls or ():
            kept = calls.setdefault(call.index, [call.function.name, ""])
            kept[1] += call.function.arguments or ""
    return {"calls": [[name, json.loads(text)] for name, text in calls.values()], "finish": finish}


async def with_model(client: openai.AsyncOpenAI, model: str, parallel: int) -> Any:
    create = client.chat.completions.create
    raw = await client.chat.completions.with_raw_response.create(model=model, messages=say("Hello from the other side."))
    whole = raw.parse()
    first = (await create(model=model, messages=CITIES, tools=[WEATHER])).choices[0]
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"{n} degrees"} for n, call in enumerate(first.message.tool_calls)]
    after = (await create(model=model, messages=[*CITIES, first.message, *results], tools=[WEATHER])).choices[0].message.content
    parsed = await client.chat.completions.parse(model=model, messages=[{"role": "user", "content": "2 + 2"}], response_format=Solution)
    image = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    seen = (await create(model=model, messages=[{"role": "user", "content": image}])).choices[0].message.content
    many = await asyncio.gather(*(create(model=model, messages=say(f"Answer {n}.")) for n in range(parallel)))
    return {
        "whole": {
            "content": whole.choices[0].message.content,
            "finish": whole.choices[0].finish_reason,
            "model": whole.model,
            "output_tokens": whole.usage.completion_tokens,
            "call": raw.headers["x-request-id"].startswith("call_"),
            "attempts": raw.headers["x-sgw-attempts"],
        },
        "stream": await streamed(client, model),
        "stream_with_usage": await streamed(client, model, stream_options={"include_usage": True}),
        "tools": {
            "calls": [[call.function.name, json.loads(call.function.arguments)] for call in first.message.tool_calls],
            "finish": first.finish_reason,
        },
        "streamed_tools": await streamed_tools(client, model),
        "after_tools": after[: after.index("2 degrees") + 9],
        "parsed": parsed.choices[0].message.parsed.model_dump(),
        "image": seen[: seen.index(").") + 2],
        "parallel": sum(told.choices[0].message.content == f"Answer {n}." for n, told in enumerate(many)),
    }


async def failed(task: Any, ask: Any, key: str = "", path: str = "") -> Any:
    """Return class, status, code, x-should-retry and number of requests of a call that must fail."""
    answers: list[httpx.Response] = []
    async with client_of(task, answers, key, path) as client:
        try:
            await ask(client)
        except openai.APIStatusError as error:
            return [type(error).__name__, error.status_code, error.code, error.response.headers.get("x-should-retry"), len(answers)]
    return "it did not fail"


async def refusals(task: Any) -> Any:
    def chat(model: str) -> Any:
        return lambda client: client.chat.completions.create(model=model, messages=say("Never."))

    return {
        "bad key": await failed(task, chat("sim-chat"), key="sk-something"),
        "no such model": await failed(task, chat("no-such-model")),
        "not for this key": await failed(task, chat("sim-claude"), key=task["narrow_key"]),
        "not listed for this key": await failed(task, lambda client: client.models.retrieve("sim-claude"), key=task["narrow_key"]),
        "no such endpoint": await failed(task, lambda client: client.fine_tuning.jobs.create(model="sim-chat", training_file="file-1")),
        "wrong kind of model": await failed(task, chat("sim-embed")),
    }


async def fault(task: Any, one: Any) -> Any:
    options = {} if one["retries"] is None else {"max_retries": one["retries"]}
    return await failed(task, lambda client: client.with_options(**options).chat.completions.create(model=one["model"], messages=one["messages"]))


async def cut_short(task: Any, one: Any) -> Any:
    answers: list[httpx.Response] = []
    text = ""
    content = f'[[sim: {one["directive"]} say="One two three four." pace=1]]'
    async with client_of(task, answers) as client:
        messages: Any = [{"role": "user", "content": content}]
        try:
            async for chunk in await client.chat.completions.create(model=one["model"], messages=messages, stream=True):
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
        except openai.APIError as error:
            partly = bool(text) and "One two three four.".startswith(text) and text != "One two three four."
            return [type(error).__name__, error.code, partly, len(answers)]
    return "it did not fail"


async def embeddings(client: openai.AsyncOpenAI) -> Any:
    asked: Any = {"model": "sim-embed", "input": ["hello", "world"], "dimensions": 4}
    floats = [row.embedding for row in (await client.embeddings.create(**asked, encoding_format="float")).data]
    packed: Any = (await client.embeddings.create(**asked, encoding_format="base64")).data[0].embedding
    plain = [row.embedding for row in (await client.embeddings.create(**asked)).data]
    assert list(struct.unpack("<4f", base64.b64decode(packed))) == floats[0]
    return {"floats": floats, "packed": packed, "unpacked_by_the_sdk": plain == floats}


async def main() -> None:
    task = json.load(sys.stdin)
    async with (
        client_of(task, []) as client,
        client_of(task, [], key=task["narrow_key"]) as narrow,
        client_of(task, [], path="/sim-openai") as direct,
    ):
        raw = await direct.chat.completions.with_raw_response.create(model="sim-chat", messages=say("The long way."))
        faults = await asyncio.gather(*(fault(task, one) for one in task["faults"]))
        in_stream = await asyncio.gather(*(cut_short(task, one) for one in task["in_stream"]))
        met = {
            "models": {model: await with_model(client, model, parallel) for model, parallel in task["models"].items()},
            "embeddings": await embeddings(client),
            "catalogue": {
                "listed": [model.id for model in (await narrow.models.list()).data],
                "found": (await narrow.models.retrieve("sim-chat")).id,
            },
            "refusals": await refusals(task),
            "provider_path": [raw.parse().choices[0].message.content, raw.headers["x-sgw-deployment"]],
            "faults": {one["name"]: told for one, told in zip(task["faults"], faults, strict=True)},
            "in_stream": {one["name"]: told for one, told in zip(task["in_stream"], in_stream, strict=True)},
        }
    print(json.dumps(met))


asyncio.run(main())
