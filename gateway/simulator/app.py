"""The simulator's doors: routes, credentials, and which wire answers. Knows neither shapes nor faults in detail."""

import re
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

import orjson

from gateway.simulator import (
    anthropic_wire,
    bedrock_invoke,
    bedrock_wire,
    cohere_wire,
    executed,
    faults,
    gemini_live,
    gemini_wire,
    ollama_generate,
    ollama_wire,
    openai_embeddings,
    openai_media,
    openai_realtime,
    openai_wire,
    responses_wire,
    signatures,
)
from gateway.simulator import directives as sim
from gateway.simulator.answers import Prompt, Reply, answer, seed_of
from gateway.simulator.connection import Connection, Receive, Scope, Send
from gateway.simulator.directives import BadDirective
from gateway.simulator.kept import Batches, Files, MessageBatches, read_form
from gateway.simulator.message_files import MessageFiles
from gateway.simulator.objects import Collections, GoogleFiles
from gateway.simulator.problems import Problem
from gateway.simulator.sockets import Socket
from gateway.simulator.stored import Stored

BODY_LIMIT_BYTES = 64 * 1024 * 1024
SIMULATED = (b"x-simulated", b"true")
POSTED = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages", "/v1/messages/count_tokens")
CREDENTIALS = (b"x-api-key", b"api-key", b"x-goog-api-key")
Keep = Callable[[bytes], bytes]
Header = tuple[bytes, bytes]


class Simulator:
    """The ASGI application. `pace_ms` is the pause between streamed events unless a directive says otherwise."""

    def __init__(self, pace_ms: int = 0, any_model: bool = False) -> None:
        self.pace_ms = pace_ms
        self.any_model = any_model
        self.files, self.message_files = Files(), MessageFiles()
        self.batches = Batches(self.files, self._in_a_batch)
        self.message_batches = MessageBatches(self._in_a_batch)
        self.collections, self.google_files = Collections(), GoogleFiles()
        self.stored = Stored(self.collections.has_conversation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or speak with one client."""
        if scope["type"] == "websocket":
            await self._speak(Socket(scope, receive, send))
            return
        connection = Connection(scope, receive, send)
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        path = scope["path"]
        if path.startswith("/openai/"):
            path = "/v1" + path[len("/openai") :].removeprefix("/v1")
        named = dict(headers)
        wire = _wire(path, named)
        if path == "/healthz":
            await _plain(connection, wire, b'{"status":"ok"}')
            return
        try:
            if wire is bedrock_wire:
                await self._bedrock(connection, scope, named)
                return
            if not (path.startswith("/upload/") and b"upload_id=" in scope["query_string"]):
                _check_credential(named, scope["query_string"])
            if wire is gemini_wire:
                await self._google(connection, scope, path, headers)
            elif wire is cohere_wire:
                await self._cohere(connection, scope["method"], path, headers)
            elif wire is ollama_wire:
                await self._ollama(connection, scope["method"], path, headers)
            else:
                await self._routed(connection, scope["method"], path, wire, headers)
        except Problem as error:
            await _refused(connection, wire, error)
        except BadDirective as error:
            await _refused(connection, wire, Problem(400, str(error), "bad_directive"))

    async def _speak(self, socket: Socket) -> None:
        path: str = socket.scope["path"]
        wire = gemini_wire if path.endswith(gemini_live.PATH) else openai_wire
        try:
            _check_credential(dict(socket.scope["headers"]), socket.scope["query_string"])
            if wire is gemini_wire:
                await gemini_live.serve(socket, self.any_model, self.pace_ms)
            elif path in ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime"):
                await openai_realtime.serve(socket, self.any_model, self.pace_ms)
            else:
                raise Problem(404, f"Invalid URL (GET {path})", "unknown_url")
        except Problem as error:
            await socket.refuse(error.status, wire.problem(error))
        except OSError:
            # the client has left in the middle of a sentence
            pass

    def _prompt(self, wire: ModuleType, fields: dict[str, Any]) -> tuple[Prompt, list[Reply]]:
        try:
            prompt: Prompt = wire.read(fields, self.any_model)
            return prompt, [answer(prompt, index) for index in range(prompt.choices)]
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            # a field of a wrong type somewhere deep, such as a schema with a text where a number belongs
            raise Problem(400, f"A field of the request has the wrong type ({type(error).__name__}).", "invalid_type") from error

    async def _routed(self, connection: Connection, method: str, path: str, wire: ModuleType, headers: list[tuple[bytes, bytes]]) -> None:
        deployment = ""
        if path.startswith("/v1/deployments/"):
            deployment, _, rest = path[len("/v1/deployments/") :].partition("/")
            path = "/v1/" + rest
        if method == "GET" and path == "/v1/models":
            await _plain(connection, wire, wire.models())
        elif method == "GET" and path.startswith("/v1/models/"):
            await _plain(connection, wire, wire.one_model(unquote(path[len("/v1/models/") :])))
        elif path.startswith("/v1/responses/"):
            query = dict(parse_qsl(connection.scope["query_string"].decode()))
            if query.get("stream") == "true":
                await faults.stream(connection, sim.NONE, wire, [faults.SSE, SIMULATED], self.stored.again(path[14:], query), 0, 0, str.encode)
            else:
                await _plain(connection, wire, self.stored.answer(method, path[14:]))
        elif wire is anthropic_wire and path.startswith("/v1/files"):
            await self._message_files(connection, method, path, headers)
        elif path.startswith(("/v1/files", "/v1/batches", "/v1/messages/batches")):
            await self._kept(connection, method, path, wire, headers)
        elif self.collections.has(path):
            raw = await _read(connection)
            await _plain(connection, wire, self.collections.answer(method, path, connection.scope["query_string"], _fields(raw) if raw else {}))
        elif path in openai_media.KINDS and method == "POST":
            await self._made(connection, path, headers)
        elif path not in POSTED:
            raise Problem(404, f"Invalid URL ({method} {path})", "unknown_url")
        elif method != "POST":
            raise Problem(405, f"Not allowed to {method} on {path}.", "method_not_supported")
        else:
            raw = await _read(connection)
            fields = _fields(raw)
            if deployment:
                fields["model"] = deployment
            await self._posted(connection, path, wire, fields, raw, headers)

    async def _kept(self, connection: Connection, method: str, path: str, wire: ModuleType, headers: list[tuple[bytes, bytes]]) -> None:
        raw, named = await _read(connection) if method == "POST" else b"", dict(headers)
        kind, name, part = _parts(path)
        origin = "http://" + named.get(b"host", b"").decode("latin-1")
        if kind == "files" and method == "POST" and not name:
            body = orjson.dumps(self.files.add(*read_form(raw, named.get(b"content-type", b""))))
        elif kind == "files" and not part:
            body = self.files.answer(method, name)
        elif kind == "files" and part == "content":
            await _plain(connection, wire, self.files.content(name), b"application/octet-stream")
            return
        elif method == "POST" and not name:
            body = self.batches.create(_fields(raw)) if kind == "batches" else self.message_batches.create(_fields(raw))
        elif method == "POST" and part == "cancel":
            body = self.batches.cancel(name) if kind == "batches" else self.message_batches.cancel(name)
        elif kind == "messages/batches" and part == "results":
            await _plain(connection, wire, self.message_batches.results(name), b"application/x-jsonl")
            return
        elif kind == "messages/batches" and method == "DELETE":
            body = self.message_batches.delete(name)
        elif method == "GET" and not part:
            body = self.batches.look(name) if kind == "batches" else self.message_batches.look(name, origin)
        else:
            raise Problem(404, f"Invalid URL ({method} {path})", "unknown_url")
        await _plain(connection, wire, body)

    async def _message_files(self, connection: Connection, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        raw = await _read(connection) if method == "POST" else b""
        _, name, part = _parts(path)
        if (method, name) == ("POST", ""):
            body = self.message_files.upload(raw, dict(headers).get(b"content-type", b""))
        elif (method, part) == ("GET", "content"):
            await _plain(connection, anthropic_wire, self.message_files.content(name), b"application/octet-stream")
            return
        elif part or method not in ("GET", "DELETE"):
            raise Problem(404, f"Invalid URL ({method} {path})")
        else:
            body = self.message_files.answer(method, name, connection.scope["query_string"])
        await _plain(connection, anthropic_wire, body)

    def _made_container(self) -> str:
        return str(orjson.loads(self.collections.answer("POST", "/v1/containers", b"", {"name": "auto"}))["id"])

    def _in_a_batch(self, path: str, fields: dict[str, Any]) -> tuple[int, bytes]:
        """Return status and body of one request of a batch."""
        wire = _wire(path, {})
        try:
            if path == "/v1/embeddings":
                return 200, openai_embeddings.embed(fields, openai_embeddings.read_directives(fields), self.any_model)
            if path in openai_media.KINDS:
                return 200, openai_media.make(path, fields, sim.parse(str(fields.get("model", ""))), self.any_model)[1]
            prompt, replies = self._prompt(wire, fields)
            status = prompt.directives.number("status", 200)
            if status != 200:
                raise Problem(status, f"Simulated status {status}.")
            return 200, wire.whole(prompt, replies)
        except Problem as error:
            return error.status, wire.problem(error)
        except BadDirective as error:
            return 400, wire.problem(Problem(400, str(error), "bad_directive"))

    async def _google(self, connection: Connection, scope: Scope, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        bare = re.sub(r"^/v1(?:beta|alpha)?/", "", path)
        if path.startswith("/upload/"):
            told, body = self.google_files.upload(dict(headers), path, scope["query_string"], await _read(connection))
            kind = [faults.JSON] if body else []
            await connection.start(200, [*kind, SIMULATED, *told, (b"content-length", str(len(body)).encode())])
            await connection.finish(body)
        elif self.google_files.has(bare):
            raw = await _read(connection)
            await _plain(connection, gemini_wire, self.google_files.answer(scope["method"], bare, _fields(raw) if raw else {}))
        else:
            await self._gemini(connection, scope["method"], path, b"alt=sse" in scope["query_string"].split(b"&"), headers)

    async def _gemini(self, connection: Connection, method: str, path: str, is_sse: bool, headers: list[tuple[bytes, bytes]]) -> None:
        rest = path.partition("/models")[2]
        if method == "GET" and not rest:
            await _plain(connection, gemini_wire, gemini_wire.models())
        elif method == "GET":
            await _plain(connection, gemini_wire, gemini_wire.one_model(unquote(rest[1:])))
        else:
            model, called = gemini_wire.place(unquote(rest[1:]))
            raw = await _read(connection)
            fields = {**_fields(raw), "model": model, "stream": called == "streamGenerateContent"}
            if called == "countTokens":
                await _plain(connection, gemini_wire, gemini_wire.count(fields, self.any_model))
            elif called in ("embedContent", "batchEmbedContents"):
                await _plain(connection, gemini_wire, gemini_wire.embed(fields, self.any_model, many=called == "batchEmbedContents"))
            else:
                await self._answered(connection, gemini_wire, fields, raw, headers, faults.SSE if is_sse else faults.JSON)

    async def _bedrock(self, connection: Connection, scope: Scope, named: Mapping[bytes, bytes]) -> None:
        raw = await _read(connection)
        if signatures.is_signed(named):
            signatures.check(scope["method"], scope["raw_path"], scope["query_string"], named, raw)
        else:
            _check_credential(named, scope["query_string"])
        model, asked, streams = bedrock_wire.place(scope["raw_path"])
        fields = {**_fields(raw), "model": model, "stream": streams}
        if asked == "count-tokens":
            await _plain(connection, bedrock_wire, bedrock_wire.count(fields, self.any_model))
        elif asked == "invoke" and "inputText" in fields:
            told, body = bedrock_invoke.embed(fields, self.any_model)
            await connection.start(200, [faults.JSON, SIMULATED, *told, (b"content-length", str(len(body)).encode())])
            await connection.finish(body)
        else:
            wire = bedrock_invoke if asked == "invoke" else bedrock_wire
            await self._answered(connection, wire, fields, raw, scope["headers"], bedrock_wire.EVENTS)

    async def _cohere(self, connection: Connection, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        if path not in cohere_wire.PATHS or method != "POST":
            raise Problem(404, "page not found")
        raw = await _read(connection)
        if path == "/v2/embed":
            await _plain(connection, cohere_wire, cohere_wire.embed(_fields(raw), self.any_model))
        else:
            await self._answered(connection, cohere_wire, _fields(raw), raw, headers)

    async def _ollama(self, connection: Connection, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        if path not in ollama_wire.PATHS or method != "POST":
            raise Problem(404, "404 page not found")
        raw = await _read(connection)
        fields = _fields(raw)
        if path.startswith("/api/embed"):
            await _plain(connection, ollama_wire, ollama_wire.embed(fields, self.any_model, one=path == "/api/embeddings"))
        else:
            wire = ollama_generate if path == "/api/generate" else ollama_wire
            await self._answered(connection, wire, fields, raw, headers, ollama_wire.LINES)

    async def _posted(
        self, connection: Connection, path: str, wire: ModuleType, fields: dict[str, Any], raw: bytes, headers: list[tuple[bytes, bytes]]
    ) -> None:
        if path == "/v1/embeddings":
            await self._embedded(connection, fields)
        elif path == "/v1/messages/count_tokens":
            counted = anthropic_wire.read(fields, self.any_model, counting=True)
            await _plain(connection, wire, orjson.dumps({"input_tokens": counted.input_tokens}))
        else:
            if wire is responses_wire:
                fields = self.stored.expanded(fields)
            await self._answered(connection, wire, fields, raw, headers)

    async def _answered(
        self, connection: Connection, wire: ModuleType, fields: dict[str, Any], raw: bytes, headers: list[tuple[bytes, bytes]], kind: Header = faults.SSE
    ) -> None:
        prompt, replies = self._prompt(wire, fields)
        echo = prompt.directives.word("echo")
        if echo in ("body", "headers"):
            shown = raw if echo == "body" else orjson.dumps(faults.described(headers))
            prompt = prompt._replace(echo=shown.decode("utf-8", "replace"))
            replies = [answer(prompt)]
        tell = executed.teller(wire, fields, self._made_container, self.message_files)
        looks = prompt.directives.number("looks")
        keep = self.stored.keeper(fields) if wire is responses_wire else executed.as_it_is
        if wire is responses_wire and fields.get("background") is True:
            if prompt.stream:
                if await faults.before_answer(connection, prompt.directives, wire, prompt.seed):
                    return
                events = list(responses_wire.events(prompt, replies))
                self.stored.streamed(fields, events, looks)
                pace_ms = prompt.directives.number("pace", self.pace_ms)
                told = [faults.SSE, SIMULATED, *responses_wire.headers(prompt.seed)]
                await faults.stream(connection, prompt.directives, wire, told, events, 2, pace_ms, lambda text: responses_wire.text_event(prompt, text))
                return
            keep = self.stored.worker(fields, looks)
        await self._spoken(connection, wire, prompt, replies, lambda said: tell(keep(said)), kind)

    async def _embedded(self, connection: Connection, fields: dict[str, Any]) -> None:
        directives = openai_embeddings.read_directives(fields)
        body = openai_embeddings.embed(fields, directives, self.any_model)
        seed = seed_of(fields.get("input"))
        if not await faults.before_answer(connection, directives, openai_wire, seed):
            await faults.whole(connection, directives, [faults.JSON, SIMULATED, *openai_wire.headers(seed)], body)

    async def _made(self, connection: Connection, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        raw = await connection.body(BODY_LIMIT_BYTES)
        if raw is None:
            raise Problem(413, "Request body is larger than 64 MiB.", "request_too_large")
        fields = openai_media.read_form(raw, dict(headers)) if path in openai_media.FORMS else _fields(raw)
        words = [text for text in (fields.get(name) for name in ("prompt", "input", "query")) if isinstance(text, str)]
        directives = sim.parse(str(fields.get("model", "")), *words)
        seed = seed_of(words)
        if await faults.before_answer(connection, directives, openai_wire, seed):
            return
        told = [SIMULATED, *openai_wire.headers(seed)]
        if openai_media.is_streamed(path, fields):
            events = list(openai_media.events(path, fields, directives, self.any_model))
            pace_ms = directives.number("pace", self.pace_ms)
            await faults.stream(connection, directives, openai_wire, [faults.SSE, *told], events, 1, pace_ms, openai_media.comment)
            return
        kind, body = openai_media.make(path, fields, directives, self.any_model)
        await faults.whole(connection, directives, [(b"content-type", kind), *told], body)

    async def _spoken(self, connection: Connection, wire: ModuleType, prompt: Prompt, replies: list[Reply], keep: Keep, kind: Header) -> None:
        directives = prompt.directives
        if await faults.before_answer(connection, directives, wire, prompt.seed):
            return
        headers = [SIMULATED, *wire.headers(prompt.seed)]
        if prompt.stream:
            events = wire.events(prompt, replies)
            spoken = len(replies[0].pieces) or 2 * len(replies[0].calls)
            await faults.stream(
                connection,
                directives,
                wire,
                [kind, (b"cache-control", b"no-cache"), *headers],
                map(keep, gemini_wire.as_array(events) if kind is faults.JSON else events),
                2 + spoken // 2,
                directives.number("pace", self.pace_ms),
                lambda text: wire.text_event(prompt, text),
            )
            return
        if directives.has("huge_line"):
            replies[0] = replies[0]._replace(pieces=("x" * directives.number("huge_line"),))
        await faults.whole(connection, directives, [faults.JSON, *headers], keep(wire.whole(prompt, replies)))


def _wire(path: str, headers: Mapping[bytes, bytes]) -> ModuleType:
    if path.startswith("/model/"):
        return bedrock_wire
    if path.startswith("/v2/"):
        return cohere_wire
    if path.startswith("/api/"):
        return ollama_wire
    if path.startswith(("/v1beta/", "/v1alpha/", "/upload/")) or (path.startswith("/v1/") and b"x-goog-api-key" in headers):
        return gemini_wire
    if path.startswith("/v1/messages") or b"anthropic-version" in headers:
        return anthropic_wire
    return responses_wire if path.startswith("/v1/responses") else openai_wire


async def _read(connection: Connection) -> bytes:
    raw = await connection.body(BODY_LIMIT_BYTES)
    if raw is None:
        raise Problem(413, "Request body is larger than 64 MiB.", "request_too_large")
    return raw


def _check_credential(headers: Mapping[bytes, bytes], query: bytes) -> None:
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    given = [credential.strip()] if scheme.lower() == b"bearer" else []
    given += [headers[name].strip() for name in CREDENTIALS if name in headers]
    given += parse_qs(query).get(b"key", []) if b"key=" in query else []
    if not any(given):
        raise Problem(401, "You didn't provide an API key.")
    if b"bad" in given:
        raise Problem(401, "Incorrect API key provided: bad.")


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise Problem(400, "We could not parse the JSON body of your request.", "invalid_json")
    return fields


def _parts(path: str) -> tuple[str, str, str]:
    """Return what a path is about, which of them, and which part of that."""
    kind = next(name for name in ("messages/batches", "batches", "files") if path.startswith(f"/v1/{name}"))
    name, _, part = path[len(f"/v1/{kind}") :].removeprefix("/").partition("/")
    return kind, name, part


async def _plain(connection: Connection, wire: ModuleType, body: bytes, kind: bytes = faults.JSON[1]) -> None:
    await connection.start(200, [(b"content-type", kind), SIMULATED, *wire.headers(b""), (b"content-length", str(len(body)).encode())])
    await connection.finish(body)


async def _refused(connection: Connection, wire: ModuleType, error: Problem) -> None:
    body = wire.problem(error)
    await connection.start(error.status, [faults.JSON, SIMULATED, *wire.headers(b""), (b"content-length", str(len(body)).encode())])
    await connection.finish(body)
