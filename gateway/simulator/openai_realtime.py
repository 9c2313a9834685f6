"""OpenAI's Realtime, simulated: sessions whose answers are made up and whose usage is told. Knows nothing about the gateway."""

import asyncio
import base64
import contextlib
from typing import Any
from urllib.parse import parse_qs

from gateway.simulator import directives as sim
from gateway.simulator.answers import Prompt, answer, identifier, seed_of, tokens_in
from gateway.simulator.catalogue import SimModel
from gateway.simulator.directives import BadDirective
from gateway.simulator.openai_wire import chosen_model
from gateway.simulator.problems import Problem
from gateway.simulator.sockets import Left, Socket

# a token of what the user says is 100 ms, of what the model says 50 ms, of 24 kHz and 16 bits in base64
HEARD_BYTES, SPOKEN = 6_400, base64.b64encode(bytes(2_400)).decode()
FORMAT = {"type": "audio/pcm", "rate": 24_000}


async def serve(socket: Socket, any_model: bool, pace_ms: int) -> None:
    """Speak with one client until either leaves. Raises Problem before the handshake."""
    query = parse_qs(socket.scope["query_string"].decode("latin-1"))
    model = chosen_model({"model": (query.get("model") or query.get("deployment") or [""])[0]}, "realtime", any_model)
    await socket.accept()
    session = Session(socket, model, pace_ms)
    with contextlib.suppress(Left):
        await session.run()


class Session:
    """One conversation; tokens of text and of sound that every response is told anew."""

    def __init__(self, socket: Socket, model: SimModel, pace_ms: int) -> None:
        self._socket, self._model, self._pace_ms = socket, model, pace_ms
        self._texts = self._sounds = self._cached_texts = self._cached_sounds = 0
        self._heard_bytes = self._number = 0
        self._asked = ""
        self._settings: dict[str, Any] = {
            "type": "realtime", "object": "realtime.session", "id": "sess_simulated", "model": model.id, "output_modalities": ["audio"], "instructions": "",
            "audio": {"input": {"format": FORMAT, "transcription": None}, "output": {"format": FORMAT, "voice": "alloy"}},
        }  # fmt: skip

    async def run(self) -> None:
        """Answer event by event. Raises Left."""
        await self._tell("session.created", session=self._settings)
        while True:
            try:
                await self._take(await self._socket.next())
            except (Problem, BadDirective) as error:
                code = error.code if isinstance(error, Problem) else "bad_directive"
                told = {"type": "invalid_request_error", "code": code, "message": str(error), "param": None, "event_id": None}
                await self._tell("error", error=told)

    async def _take(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "session.update":
            self._settings |= {name: value for name, value in (event.get("session") or {}).items() if name not in ("audio", "id", "object")}
            self._texts += tokens_in(str(self._settings["instructions"]))
            await self._tell("session.updated", session=self._settings)
        elif kind == "conversation.item.create":
            await self._add(event.get("item") or {})
        elif kind == "input_audio_buffer.append":
            self._heard_bytes += len(str(event.get("audio", "")))
        elif kind == "input_audio_buffer.commit":
            self._sounds += -(-self._heard_bytes // HEARD_BYTES)
            self._heard_bytes = 0
            await self._tell("input_audio_buffer.committed", item_id=self._id("item_"), previous_item_id=None)
        elif kind == "response.create":
            await self._respond(event.get("response") or {})
        else:
            raise Problem(400, f"Invalid value: '{kind}'.", "invalid_value", "type")

    async def _add(self, item: dict[str, Any]) -> None:
        for part in item.get("content") or ():
            self._asked = str(part.get("text", "")) or self._asked
            self._texts += tokens_in(sim.strip(str(part.get("text", ""))))
            self._sounds += -(-len(str(part.get("audio", ""))) // HEARD_BYTES)
        added = {"id": self._id("item_"), "object": "realtime.item", "status": "completed", **item}
        await self._tell("conversation.item.added", item=added, previous_item_id=None)
        await self._tell("conversation.item.done", item=added, previous_item_id=None)

    async def _respond(self, wanted: dict[str, Any]) -> None:
        directives = sim.parse(self._asked)
        prompt = Prompt(self._model, sim.strip(self._asked), directives, seed_of(self._model.id, self._asked), self._texts, True)
        pieces = answer(prompt).pieces
        speaks = "audio" in (wanted.get("output_modalities") or self._settings["output_modalities"])
        response: dict[str, Any] = {"id": self._id("resp_"), "object": "realtime.response", "status": "in_progress", "output": [], "usage": None}
        await self._tell("response.created", response=response)
        item: dict[str, Any] = {
            "id": self._id("item_"),
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        place = {"response_id": response["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
        await self._tell("response.output_item.added", response_id=response["id"], output_index=0, item=item)
        for at, piece in enumerate(pieces):
            if at and directives.number("pace", self._pace_ms):
                await asyncio.sleep(directives.number("pace", self._pace_ms) / 1_000)
            if at == len(pieces) // 2 and directives.has("cut"):
                await self._socket.close(1011, "The server had an error while processing your request.")
                raise Left
            await self._tell("response.output_audio_transcript.delta" if speaks else "response.output_text.delta", **place, delta=piece)
            if speaks:
                await self._tell("response.output_audio.delta", **place, delta=SPOKEN)
        text = "".join(pieces)
        if speaks:
            await self._tell("response.output_audio.done", **place)
            await self._tell("response.output_audio_transcript.done", **place, transcript=text)
        else:
            await self._tell("response.output_text.done", **place, text=text)
        part = {"type": "output_audio", "transcript": text} if speaks else {"type": "output_text", "text": text}
        item = {**item, "status": "completed", "content": [part]}
        await self._tell("response.output_item.done", response_id=response["id"], output_index=0, item=item)
        usage = None if directives.has("no_usage") else self._usage(len(pieces), len(pieces) if speaks else 0)
        await self._tell("response.done", response={**response, "status": "completed", "output": [item], "usage": usage})
        self._cached_texts, self._cached_sounds = self._texts, self._sounds
        self._texts += len(pieces)
        self._sounds += len(pieces) if speaks else 0

    def _usage(self, texts: int, sounds: int) -> dict[str, Any]:
        given, made = self._texts + self._sounds, texts + sounds
        cached = {"text_tokens": self._cached_texts, "audio_tokens": self._cached_sounds, "image_tokens": 0}
        return {
            "total_tokens": given + made,
            "input_tokens": given,
            "output_tokens": made,
            "input_token_details": {
                "text_tokens": self._texts, "audio_tokens": self._sounds, "image_tokens": 0,
                "cached_tokens": self._cached_texts + self._cached_sounds, "cached_tokens_details": cached,
            },
            "output_token_details": {"text_tokens": texts, "audio_tokens": sounds},
        }  # fmt: skip

    async def _tell(self, kind: str, **fields: Any) -> None:
        await self._socket.text({"type": kind, "event_id": self._id("event_"), **fields})

    def _id(self, prefix: str) -> str:
        self._number += 1
        return identifier(prefix, self._model.id.encode(), str(self._number))
