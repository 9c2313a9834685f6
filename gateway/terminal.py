"""The terminal of `make run`: who gets Ctrl-C, and the box that says everything is ready. Standard library only."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def own_interrupts() -> Iterator[None]:
    """Take the terminal's Ctrl-C for this process alone, so that make does not report the orderly stop that follows as an error."""
    try:
        before = os.tcgetpgrp(0)
    except OSError:
        yield
        return
    if before != os.getpgrp() or os.getpid() == os.getpgrp():
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(0, before)


def curl_line(base_url: str, key: str, model: str) -> str:
    """Return a command that streams one chat answer; it can be pasted as it is."""
    body = f'{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'
    return f"curl -N {base_url}/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{body}'"


def box(facts: Mapping[str, object], model: str) -> str:
    """Return the closing lines of a start: portal, users, password, key and a curl line, which stands on one line of its own."""
    users = facts["users"]
    assert isinstance(users, Mapping)
    rows = [
        ("Portal", facts["portal"]),
        *((f"User {name}", email) for name, email in users.items()),
        ("Password", facts["password"]),
        ("Second step", "make codes   (in another terminal)"),
        ("Base URL", facts["base_url"]),
        ("Key", facts["key"]),
    ]
    lines = ["Symbiosis Gateway is running (demo content; the models are simulated)", "", *(f"{name:<16}{value}" for name, value in rows)]
    width = max(len(line) for line in lines)
    framed = [f"│ {line:<{width}} │" for line in lines]
    curl = curl_line(str(facts["base_url"]), str(facts["key"]), model)
    return "\n".join(
        ["┌" + "─" * (width + 2) + "┐", *framed, "└" + "─" * (width + 2) + "┘", "Try it:", "", curl, "", "Ctrl-C stops everything."]
    )


def progress(text: str) -> None:
    """Print one line of progress at once."""
    print(text, file=sys.stdout, flush=True)
