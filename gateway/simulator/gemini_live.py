"""Google's Live API, simulated: sessions whose answers are made up and whose usage is told. Knows nothing about the gateway."""

import asyncio
import base64
from typing import Any

from gateway.simulator import directives as sim
from gateway.simulator.answers import Prompt, answer, seed_of, tokens_in
from gateway.simulator.catalogue import SimModel, find
from gateway.simulator.directives import BadDirective
from gateway.simulator.gemini_wire import camel
from gateway.simulator.problems import Problem
from gateway.simulator.sockets import Left, Socket

PATH = ".GenerativeService.BidiGenerateContent"
# a token of sound is 40 ms: heard at 16 kHz, spoken at 24 kHz, 16 bits, in base64
HEARD_BYTES, SPOKEN = 1_707, base64.b64encode(bytes(1_920)).decode()


async def serve(socket: Socket, any_model: bool, pace_ms: int) -> None:
    """Speak with one client until either leaves."""
    await socket.accept()
    try:
        setup = camel(await socket.next()).get("setup")
        name = str(setup.get("model", "")).removeprefix("models/") if isinstance(setup, dict) else ""
        model = find(name, "realtime", any_model)
        if model is None or not isinstance(setup, dict):
            await socket.close(1008, f"models/{name} is not found for API version v1beta, or is not supported for bidiGenerateContent.")
            return
        await socket.binary({"setupComplete": {"sessionId": "simulated"}})
        await Session(socket, model, setup, pace_ms).run()
    except (Problem, BadDirective) as error:
        await socket.close(1007, str(error))
    except Left:
        pass


class Session:
    """One conversation; tokens of text and of sound that every turn is told anew."""

    def __init__(self, socket: Socket, model: SimModel, setup: dict[str, Any], pace_ms: int) -> None:
        self._socket, self._model, self._pace_ms = socket, model, pace_ms
        self._speaks = "AUDIO" in ((setup.get("generationConfig") or {}).get("responseModalities") or ["AUDIO"])
        self._texts, self._sounds = tokens_in(str(setup.get("systemInstruction") or "")), 0
        self._asked = ""

    async def run(self) -> None:
        """Answer message by message. Raises Left, Problem, BadDirective."""
        while True:
            told = camel(await self._socket.next())
            content, entered = told.get("clientContent"), told.get("realtimeInput")
            if isinstance(content, dict):
                for turn in content.get("turns") or ():
                    for part in turn.get("parts") or ():
                        self._hear_text(str(part.get("text", "")))
                if content.get("turnComplete"):
                    await self._respond()
            elif isinstance(entered, dict):
                self._sounds += -(-len(str((entered.get("audio") or {}).get("data", ""))) // HEARD_BYTES)
                self._hear_text(str(entered.get("text", "")))
                if entered.get("text") or entered.get("audioStreamEnd") or "activityEnd" in entered:
                    await self._respond()
            else:
                raise Problem(400, "Request contains an invalid argument.")

    def _hear_text(self, text: str) -> None:
        self._asked = text or self._asked
        self._texts += tokens_in(sim.strip(text))

    async def _respond(self) -> None:
        directives = sim.parse(self._asked)
        prompt = Prompt(self._model, sim.strip(self._asked), directives, seed_of(self._model.id, self._asked), self._texts, True)
        pieces = answer(prompt).pieces
        for at, piece in enumerate(pieces):
            if at and directives.number("pace", self._pace_ms):
                await asyncio.sleep(directives.number("pace", self._pace_ms) / 1_000)
            part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": SPOKEN}} if self._speaks else {"text": piece}
            await self._socket.binary({"serverContent": {"modelTurn": {"parts": [part]}}})
        await self._socket.binary({"serverContent": {"generationComplete": True}})
        last: dict[str, Any] = {"serverContent": {"turnComplete": True}}
        if not directives.has("no_usage"):
            last["usageMetadata"] = self._usage(len(pieces))
        await self._socket.binary(last)
        self._texts, self._sounds = (self._texts, self._sounds + len(pieces)) if self._speaks else (self._texts + len(pieces), self._sounds)

    def _usage(self, made: int) -> dict[str, Any]:
        given = [("TEXT", self._texts), ("AUDIO", self._sounds)]
        return {
            "promptTokenCount": self._texts + self._sounds,
            "responseTokenCount": made,
            "totalTokenCount": self._texts + self._sounds + made,
            "promptTokensDetails": [{"modality": kind, "tokenCount": tokens} for kind, tokens in given if tokens],
            "responseTokensDetails": [{"modality": "AUDIO" if self._speaks else "TEXT", "tokenCount": made}],
        }
