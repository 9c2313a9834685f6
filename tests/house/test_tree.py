"""The source tree keeps its promises: commands by name, hashed requirements, no machine's own paths, no empty rooms."""

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = ("requirements.txt", "requirements-dev.txt", "tests/clients/openai2/requirements.txt")
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)", re.MULTILINE)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_the_readme_names_both_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [command in readme for command in ("make run", "make test")] == [True, True]


def test_make_lists_its_commands() -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\w+)", listed, re.MULTILINE) == ["help", "run", "codes", "test", "lint", "unit", "bench", "chaos", "lock", "vendor"]


def test_ci_calls_make_test_and_nothing_else() -> None:
    assert (ROOT / ".ci" / "run").read_text().splitlines() == [
        "#!/usr/bin/env bash",
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "exec make test",
    ]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    blocks = [block for block in re.split(r"\n(?=\S)", (ROOT / name).read_text().strip()) if not block.startswith("#")]
    assert [block.splitlines()[0] for block in blocks if not PINNED.match(block) or "--hash=sha256:" not in block] == []


def test_tests_run_with_the_versions_that_are_shipped() -> None:
    shipped, tested = (dict(PINNED.findall((ROOT / name).read_text())) for name in LOCKED[:2])
    assert {name: tested.get(name) for name in shipped} == shipped


@pytest.mark.parametrize("name", ["node", "chromium"])
def test_npm_locks_have_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / "tests" / "clients" / name / "package-lock.json").read_text()
    assert ('"integrity": "sha512-' in text, '"resolved"' in text) == (True, False)


def test_the_short_lists_are_what_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {re.split(r"[\[<>=~ ]", line)[0].lower().replace(".", "-") for line in project["project"]["dependencies"]}
    assert wanted - {name.lower() for name, _ in PINNED.findall((ROOT / "requirements.txt").read_text())} == set()


def test_no_file_names_a_machine_or_a_package_index() -> None:
    wrong = re.compile(rb"/" rb"work/|/opt/" rb"(?:wheels|pypi)|/" rb"root/|pypi" rb"\.org|pythonhosted" rb"\.org|registry\." rb"npmjs")
    found = [str(file.relative_to(ROOT)) for file in tracked() if file.suffix != ".whl" and wrong.search(file.read_bytes())]
    assert found == []


def test_no_room_is_empty() -> None:
    empty = {".py", ".md", ".html"}
    allowed = {"__init__.py"}
    assert [str(file) for file in tracked() if file.suffix in empty and file.name not in allowed and not file.read_bytes().strip()] == []


def test_vendored_files_are_the_listed_ones() -> None:
    folder = ROOT / "static" / "vendor"
    listed = {name: digest for package in json.loads((folder / "vendor.json").read_text()) for name, digest in package["files"].items()}
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.name != "vendor.json"}
    assert (found, [file.name for file in folder.iterdir() if b"sourceMappingURL" in file.read_bytes()]) == (listed, [])
