"""The first scripts of a bare machine: what they refuse, what they say, and that a broken environment is made anew."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "deploy" / "bootstrap"
sys.path.insert(0, str(BOOTSTRAP))
sys.path.insert(0, str(ROOT / "deploy"))

import bootstrap  # noqa: E402 (not a package: it runs before anything is installed)
import environment  # noqa: E402


def test_an_old_python_is_told_what_to_do() -> None:
    assert bootstrap.advice((3, 9, 2)) == (
        "Symbiosis Gateway needs Python 3.11 or newer; this is Python 3.9.\n"
        "Install a newer one (Debian and Ubuntu: apt-get install python3.11) and say which one to use:\n"
        "    make run PYTHON=/path/to/python3.11"
    )


def test_the_first_script_can_be_read_by_any_python_3() -> None:
    ast.parse((BOOTSTRAP / "bootstrap.py").read_text(), feature_version=(3, 4))


def test_the_vendored_pip_is_the_one_it_was_released_with() -> None:
    environment.check_wheel(environment.PIP_WHEEL, environment.PIP_SHA256)


def test_a_corrupted_pip_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "pip.whl"
    wheel.write_bytes(environment.PIP_WHEEL.read_bytes()[:-1] + b"!")
    with pytest.raises(environment.BootstrapFailed, match="is damaged"):
        environment.check_wheel(wheel, environment.PIP_SHA256)


def test_a_missing_pip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(environment.BootstrapFailed, match="is missing"):
        environment.check_wheel(tmp_path / "pip.whl", environment.PIP_SHA256)


def test_a_full_disk_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(environment.BootstrapFailed, match="Make room and start again"):
        environment.check_disk(tmp_path, 10**18)


@pytest.mark.parametrize(
    ("complaint", "hint"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "A package is not the one"),
        ("ERROR: Could not find a version that satisfies the requirement absl-py==2.5.1", "The packages could not be fetched: check the network"),
        ("WARNING: Retrying after connection broken by NewConnectionError", "The packages could not be fetched: check the network"),
        ("ERROR: something else", "The packages could not be installed."),
    ],
)
def test_a_failed_installation_says_what_to_do(complaint: str, hint: str) -> None:
    advice = environment.pip_advice(complaint)
    assert (advice.startswith(hint), advice.endswith("  " + complaint)) == (True, True)


def test_progress_is_shown_in_few_lines() -> None:
    said: list[str] = []
    lines = [f"Collecting package{number}==1.0\n" for number in range(12)] + ["  Downloading x\n", "Installing collected packages: a, b\n"]
    environment.show_progress(lines, 12, said.append)
    assert said == ["  fetched 10 of 12 packages", "  fetched 12 of 12 packages", "  installing them"]


def test_an_environment_is_made_once_and_again_after_it_was_broken_off(tmp_path: Path) -> None:
    folder, requirements = tmp_path / "a b" / "venv", tmp_path / "none.txt"
    requirements.write_text("# nothing is needed\n")
    said: list[str] = []

    def say(line: str) -> None:
        # a process that this one forks holds the lock until it runs a program of its own, so there may be a wait
        if not line.startswith("Waiting"):
            said.append(line.partition(" ")[0])

    environment.ensure(folder, requirements, say)
    environment.ensure(folder, requirements, say)
    assert said == ["Making", "Installing"]
    made = environment.Environment(folder)
    assert (made.is_usable(), made.has(requirements)) == (True, True)
    (folder / "installing").touch()
    (folder / "leftover").touch()
    assert (made.is_usable(), made.has(requirements)) == (False, False)
    environment.ensure(folder, requirements, say)
    assert (made.has(requirements), (folder / "leftover").exists(), said) == (True, False, ["Making", "Installing"] * 2)


def test_changed_requirements_are_noticed(tmp_path: Path) -> None:
    requirements = tmp_path / "none.txt"
    requirements.write_text("# nothing is needed\n")
    environment.ensure(tmp_path / "venv", requirements, lambda _: None)
    requirements.write_text("# still nothing is needed\n")
    assert environment.Environment(tmp_path / "venv").has(requirements) is False


def test_pip_leaves_a_home_it_may_not_write_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    env = environment.pip_environment()
    assert (env["PIP_NO_CACHE_DIR"], env["PIP_USER"], "PIP_TARGET" in env) == ("1", "0", False)
