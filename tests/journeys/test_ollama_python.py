"""Ollama's own SDK, unmodified but for its host: what an account there serves, metered, and what it does not."""

from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

from tests.fakes.service import Service

pytestmark = pytest.mark.journey

ACCOUNT = "t-lab-chat-0"


class Lab:
    """The SDK's client for an account, and the id of its last call."""

    def __init__(self, service: Service) -> None:
        self.service, self.last = service, ""
        key = {"authorization": f"Bearer {service.key}"}
        self.client = ollama.Client(f"http://127.0.0.1:{service.port}/v1/{ACCOUNT}", headers=key, event_hooks={"response": [self._note]})

    def _note(self, answer: httpx.Response) -> None:
        self.last = answer.headers.get("x-request-id", "")

    def billed(self) -> tuple[Any, ...]:
        """Return what the row of the last call says."""
        row = self.service.row_of(self.last)
        return row["endpoint"], row["account"], row["model"], row["usage_source"], row["input_tokens"], row["output_tokens"], row["cost_nanousd"] > 0


@pytest.fixture(scope="module")
def lab(service: Service) -> Iterator[Lab]:
    """An account of the kind Ollama, with one model."""
    service.add_models({"lab-chat": [{"provider": "ollama", "upstream_model": "sim-chat"}]})
    made = Lab(service)
    yield made
    made.client.close()


def say(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_chat_and_generate_whole_and_streamed(lab: Lab) -> None:
    whole = lab.client.chat("lab-chat", say('Hello [[sim: say="Hi there."]]'))
    assert whole.message.content == "Hi there."
    assert lab.billed() == ("api/chat", ACCOUNT, "lab-chat", "provider", whole.prompt_eval_count, whole.eval_count, True)
    lines = list(lab.client.chat("lab-chat", say('Hello [[sim: say="One two three."]]'), stream=True))
    assert "".join(line.message.content or "" for line in lines) == "One two three."
    assert lab.billed() == ("api/chat", ACCOUNT, "lab-chat", "provider", lines[-1].prompt_eval_count, lines[-1].eval_count, True)
    made = list(lab.client.generate("lab-chat", 'Hello [[sim: say="One two."]]', stream=True))
    assert "".join(line.response for line in made) == "One two."
    assert lab.billed() == ("api/generate", ACCOUNT, "lab-chat", "provider", made[-1].prompt_eval_count, made[-1].eval_count, True)


def test_what_is_refused_is_an_error_that_the_sdk_raises(lab: Lab) -> None:
    with pytest.raises(ollama.ResponseError, match="is not in the catalogue") as unknown:
        lab.client.chat("nothing", say("Hello"))
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="is never passed on"):
        lab.client.pull("llama3.2")
    with pytest.raises(ollama.ResponseError, match="is not served at 'api/tags'"):
        lab.client.list()
    with pytest.raises(ollama.ResponseError, match="broke off or was damaged"):
        list(lab.client.chat("lab-chat", say("Hello [[sim: close=mid]]"), stream=True))
