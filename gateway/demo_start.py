"""`make run`: prepares the data directory, starts everything on the loopback, says when it is ready. Django runs in children."""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway import secretfile
from gateway.lifeline import die_with_parent
from gateway.supervisor import ROOT, Supervisor, host_children, listen
from gateway.terminal import box, own_interrupts, progress

HOST = "127.0.0.1"
MODEL = "sim-chat"
READY_WITHIN_S = 60.0
POLL_S = 0.1
DRAIN_S = 10.0
PROVIDER_NAMES = ("OPENAI_", "AZURE_OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")


class StartFailed(Exception):
    """The demo could not be started; the message says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Start the demo and keep it running until Ctrl-C or SIGTERM; return 0 after an orderly stop."""
    parser = argparse.ArgumentParser(description="Start Symbiosis Gateway with demo content. Started by `make run`.")
    parser.add_argument("--port", required=True)
    die_with_parent(os.getppid(), signal.SIGTERM)
    with own_interrupts():
        try:
            return start(parser.parse_args(arguments).port)
        except (StartFailed, ValueError) as failed:
            print(f"\n{failed}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nStopped before everything was running.", file=sys.stderr)
            return 0


def start(port_text: str) -> int:
    """Listen, prepare, run. Raises StartFailed."""
    listening = claim(port_text)
    port = int(listening.getsockname()[1])
    data_dir = secretfile.data_directory()
    try:
        (data_dir / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartFailed(
            f"The data directory {data_dir} cannot be made ({error.strerror}). Name another one with SYMBIOSIS_DATA_DIR."
        ) from None
    facts_file = data_dir / "demo.json"
    facts_file.unlink(missing_ok=True)
    progress(secretfile.initialise(data_dir))
    simulated = claim_simulator(port + 1)
    simulator_port = int(simulated.getsockname()[1])
    os.environ.update(demo_environment(os.environ, data_dir, port))
    facts = prepare(data_dir, port, simulator_port)
    workers = int(os.environ.get("SYMBIOSIS_WORKERS") or 1)
    children = host_children("all", workers, listening.fileno(), DRAIN_S, data_dir=data_dir, simulator_fd=simulated.fileno())
    progress("Starting the gateway ...")
    return asyncio.run(_run(Supervisor(children, listening), port, simulator_port, facts, facts_file))


def claim(port_text: str) -> socket.socket:
    """Return the socket the gateway will listen on. Raises StartFailed when the port is nonsense or taken."""
    if not port_text.isdigit() or not 0 < int(port_text) < 65536:
        raise StartFailed(f"PORT={port_text} is not a port: use a number from 1 to 65535.")
    try:
        return listen(HOST, int(port_text))
    except OSError as error:
        raise StartFailed(
            f"Port {port_text} on {HOST} cannot be used ({error.strerror}): perhaps another program, or another `make run`, has it.\n"
            "Stop that one or choose another port:  PORT=9000 make run"
        ) from None


def claim_simulator(wished: int) -> socket.socket:
    """Return the socket the simulator will listen on: on the wished port if nobody has it, else on one that nobody has."""
    for port in (wished, 0):
        with contextlib.suppress(OSError, OverflowError):
            return listen(HOST, port)
    raise StartFailed("No free port is left for the simulator.")


def demo_environment(environment: Mapping[str, str], data_dir: Path, port: int) -> dict[str, str]:
    """Return the settings of a demo: what the user set stays, the rest is made for the loopback."""
    wished = {
        "SYMBIOSIS_PUBLIC_URL": f"http://localhost:{port}",
        "SYMBIOSIS_PRIVATE_UPSTREAMS": "loopback",
        "SYMBIOSIS_LOG_LEVEL": "WARNING",
    }
    found = {name: environment.get(name) or value for name, value in wished.items()}
    return {**found, "SYMBIOSIS_DEMO": "true", "SYMBIOSIS_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}


def prepare(data_dir: Path, port: int, simulator_port: int) -> dict[str, object]:
    """Bring database and demo content up to date, in a child if anything changed; return the demo's facts. Raises StartFailed."""
    prepared, kept = data_dir / "prepared", data_dir / "demo-facts.json"
    found = fingerprint(port, simulator_port)
    with contextlib.suppress(OSError):
        if prepared.read_text() == found and is_embedded() and kept.exists() and (data_dir / "symbiosis.sqlite3").exists():
            return read_facts(kept)
    prepared.unlink(missing_ok=True)
    command = (sys.executable, str(ROOT / "manage.py"), "prepare_demo", "--port", str(port), "--simulator-port", str(simulator_port))
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise StartFailed("The database could not be prepared; the reason stands above.")
    prepared.write_text(found)
    return read_facts(kept)


def read_facts(file: Path) -> dict[str, object]:
    """Return the facts that loading the demo content kept: portal, base_url, key, password, users."""
    facts: dict[str, object] = json.loads(file.read_text())
    return facts


def is_embedded() -> bool:
    """Say whether the database is the file in the data directory; another one may change behind our back."""
    return not os.environ.get("SYMBIOSIS_DATABASE_URL") and not os.environ.get("SYMBIOSIS_DATABASE_URL_FILE")


def fingerprint(port: int, simulator_port: int) -> str:
    """Return a digest of everything that preparing depends on: ports, migrations, demo content, price book, provider keys."""
    state = hashlib.sha256(f"{port} {simulator_port}".encode())
    for pattern in ("requirements.txt", "*/migrations/*.py", "gateway/demo*.py", "gateway/environment_keys.py", "billing/prices/*.py"):
        for file in sorted(ROOT.glob(pattern)):
            state.update(file.read_bytes())
    state.update(json.dumps(sorted(item for item in os.environ.items() if item[0].startswith(PROVIDER_NAMES))).encode())
    return state.hexdigest()


def write_private(file: Path, content: Mapping[str, object]) -> None:
    """Write JSON with mode 0600, whole or not at all."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(content, out, indent=1)
    draft.replace(file)


async def _run(supervisor: Supervisor, port: int, simulator_port: int, facts: Mapping[str, object], facts_file: Path) -> int:
    announcing = asyncio.create_task(_announce(supervisor, port, simulator_port, facts, facts_file))
    try:
        status = await supervisor.run()
    finally:
        announcing.cancel()
        facts_file.unlink(missing_ok=True)  # noqa: ASYNC240 (nothing else runs any more)
    failed = announcing.done() and not announcing.cancelled() and announcing.result() is False
    progress("Stopped." if status == 0 else "Stopped by force.")
    return 1 if failed else status


async def _announce(supervisor: Supervisor, port: int, simulator_port: int, facts: Mapping[str, object], facts_file: Path) -> bool:
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await _until_ok(simulator_port, "/v1/models")
            await _until_ok(port, "/readyz")
    except TimeoutError:
        print(f"\nThe gateway did not become ready within {READY_WITHIN_S:.0f} s; the reason stands above.", file=sys.stderr)
        supervisor.stop()
        return False
    write_private(facts_file, facts)
    progress(box(facts, MODEL))
    return True


async def _until_ok(port: int, path: str) -> None:
    while not await _answers(port, path):
        await asyncio.sleep(POLL_S)


async def _answers(port: int, path: str) -> bool:
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer probe\r\nconnection: close\r\n\r\n".encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
