"""What every official client must make of a provider's failure, and models that fail so, one for each client, wire and fault."""

from typing import NamedTuple

from tests.fakes.service import Service

# wire: (kind of provider, its simulated model)
WIRES = {"openai": ("simulator", "sim-chat"), "anthropic": ("simulator_anthropic", "sim-claude")}
MODELS = ("sim-chat", "sim-claude")


class Told(NamedTuple):
    """What the caller is told: status, code and type, the two headers about retries, and how often a client with one retry asks."""

    status: int
    code: str
    kind: str
    should_retry: str | None
    retry_after: str | None
    requests: int


REFUSED = {"code": "invalid_request", "kind": "invalid_request_error", "should_retry": "false", "retry_after": None, "requests": 1}
BROKEN = {"code": "upstream_error", "kind": "api_error", "retry_after": None}
# directive of the simulator: what the caller is told
FAULTS: dict[str, Told] = {
    "status=400": Told(status=400, **REFUSED),
    "status=401": Told(status=502, should_retry="false", requests=1, **BROKEN),
    "status=403": Told(status=502, should_retry="false", requests=1, **BROKEN),
    "status=404": Told(status=404, **REFUSED),
    "status=408": Told(504, "upstream_timeout", "timeout_error", None, None, 2),
    "status=409": Told(status=502, should_retry=None, requests=2, **BROKEN),
    "status=413": Told(status=413, **REFUSED),
    "status=422": Told(status=422, **REFUSED),
    "status=429 retry_after=1": Told(429, "rate_limited", "rate_limit_error", None, "1", 2),
    "status=500": Told(status=502, should_retry=None, requests=2, **BROKEN),
    "status=503": Told(503, "overloaded", "overloaded_error", None, "1", 2),
    "status=529": Told(503, "overloaded", "overloaded_error", None, "1", 2),
    "reset=before": Told(status=502, should_retry=None, requests=2, **BROKEN),
}


def told_by(wire: str, directive: str) -> Told:
    """Return what the caller is told on one wire: OpenAI's errors carry a code of their own, which is passed on."""
    told = FAULTS[directive]
    return told._replace(code="model_not_found") if (wire, directive) == ("openai", "status=404") else told


IN_STREAM = ("in_stream_error", "cut", "reset=mid")
PATIENT = "status=500 again"


def model_of(client: str, wire: str, directive: str) -> str:
    """Return the name of the model on which one client meets one fault on one wire, with a breaker of its own."""
    short = directive.replace("status=", "").split()[0].replace("=", "-").replace("_", "-")
    return f"{client}-{'o' if wire == 'openai' else 'a'}-{short}{'-again' if directive == PATIENT else ''}"


def add_faulty_models(service: Service, client: str) -> None:
    """Add this client's models."""
    service.add_models(
        {
            model_of(client, wire, directive): [{"provider": provider, "upstream_model": upstream}]
            for wire, (provider, upstream) in WIRES.items()
            for directive in (*FAULTS, *IN_STREAM, PATIENT)
        }
    )


def asking_for(directive: str) -> list[dict[str, str]]:
    """Return messages that make the simulator fail."""
    return [{"role": "user", "content": f"Please fail. [[sim: {directive.removesuffix(' again')}]]"}]
