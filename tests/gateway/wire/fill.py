"""Writes into new golden cases what the code says now: `python -m tests.gateway.wire.fill CASE.json ...`. Read every line before you believe it."""

import sys
from pathlib import Path
from typing import Any

import orjson

from gateway.terms import Usage
from gateway.wire import WireError
from tests.gateway.wire.grid import Case, bytes_of, composed, played, route_of, stream_of, told_of

NOTHING = Usage()


def filled(case: Case) -> Case:
    """Return a case with what its ask, answer and stream become."""
    client, upstream = route_of(case).sides
    made = dict(case)
    try:
        body, dropped = composed(case)
        made |= {"request": orjson.loads(body), "dropped": list(dropped)}
    except WireError as error:
        made["refused"] = {"code": error.code, "param": error.param}
    if "answer" in case:
        answer = upstream.read_answer(bytes_of(case["answer"]))
        made |= {"told": orjson.loads(client.write_answer(answer, told_of(case))), **_measured(answer.usage, answer.problem)}
        if untold := client.left_out(answer):
            made["untold"] = list(untold)
    if "stream" in case:
        events, usage, problem = played(case, [stream_of(case["stream"], route_of(case).wire)])
        made |= {"events": events, **_measured(usage, problem)}
    return made


def _measured(usage: Usage | None, problem: str) -> dict[str, Any]:
    named = {"usage": {name: figure for name in Usage.__struct_fields__ if (figure := getattr(usage, name)) != getattr(NOTHING, name)}} if usage else {}
    return {**named, "problem": problem} if problem else named


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        client, _, upstream = path.parent.name.partition("--")
        case = filled({**orjson.loads(path.read_bytes()), "client": client, "upstream": upstream})
        path.write_bytes(orjson.dumps({name: value for name, value in case.items() if name not in ("client", "upstream")}, option=orjson.OPT_INDENT_2) + b"\n")
