"""Settings refuse nonsense in words, and logs hold no credential."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from gateway import logs, secretfile
from gateway import settings as module


def load_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> module.Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"SYMBIOSIS_{name}", value)
    return module.load()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORKERS": "0"}, "SYMBIOSIS_WORKERS: Input should be greater than or equal to 1"),
        ({"WORKER": "2"}, "SYMBIOSIS_WORKER is not a setting. Did you mean SYMBIOSIS_WORKERS?"),
        ({"KEK": "nonsense"}, "SYMBIOSIS_KEK: must be a tink keyset"),
        ({"SECRET_KEY": "short"}, "SYMBIOSIS_SECRET_KEY: String should have at least 32 characters"),
        ({"DATABASE_URL": "mysql://host/name"}, "SYMBIOSIS_DATABASE_URL: must look like postgresql://"),
        ({"PUBLIC_URL": "gateway.example.com"}, "SYMBIOSIS_PUBLIC_URL: must look like https://"),
        ({"TRUSTED_PROXIES": "10.0.0.0/99"}, "SYMBIOSIS_TRUSTED_PROXIES"),
        ({"PRIVATE_UPSTREAMS": "not a host!"}, "SYMBIOSIS_PRIVATE_UPSTREAMS"),
        ({"AUDIT_KEY_FILE": "/nowhere"}, "SYMBIOSIS_AUDIT_KEY and SYMBIOSIS_AUDIT_KEY_FILE are both set"),
        ({"ROLE": "boss"}, "SYMBIOSIS_ROLE"),
        ({"JOURNAL_STRICT": "sometimes"}, "SYMBIOSIS_JOURNAL_STRICT: Input should be a valid boolean"),
    ],
)
def test_nonsense_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        load_with(monkeypatch, **variables)
    assert words in str(refusal.value)


def test_the_journal_is_strict_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (load_with(monkeypatch).journal_strict, load_with(monkeypatch, JOURNAL_STRICT="true").journal_strict) == (False, True)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40 + "\n")
    monkeypatch.delenv("SYMBIOSIS_AUDIT_KEY")
    assert load_with(monkeypatch, AUDIT_KEY_FILE=str(tmp_path / "key")).audit_key == "k" * 40


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(monkeypatch, TRUSTED_PROXIES="10.0.0.0/8, ::1/128", ALLOWED_HOSTS="a.example, b.example")
    assert ([str(net) for net in settings.trusted_proxies], settings.allowed_hosts) == (
        ["10.0.0.0/8", "::1/128"],
        ("a.example", "b.example"),
    )


def test_database_urls() -> None:
    found = module.database("postgresql://me:p%40ss@db:5433/gw?sslmode=require", Path("var"))
    assert {name: found[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "gw", "USER": "me", "PASSWORD": "p@ss", "HOST": "db", "PORT": "5433"
    }  # fmt: skip
    assert (found["OPTIONS"]["sslmode"], module.database("", Path("/d"))["NAME"]) == ("require", "/d/symbiosis.sqlite3")


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    secretfile.initialise(tmp_path)
    made = secretfile.read(tmp_path)
    secretfile.initialise(tmp_path)
    assert (sorted(made), secretfile.read(tmp_path) == made) == (sorted(secretfile.NAMES), True)
    assert secretfile.path_in(tmp_path).stat().st_mode & 0o777 == 0o600
    secretfile.path_in(tmp_path).chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        secretfile.read(tmp_path)


def test_the_command_line_says_what_to_do_without_secrets(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SYMBIOSIS_")} | {
        "SYMBIOSIS_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "gateway.settings",
    }
    done = subprocess.run([sys.executable, "manage.py", "migrate"], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)
    assert "init_secrets" in done.stderr


def test_a_host_that_only_serves_calls_passes_the_checks_of_commands(tmp_path: Path) -> None:
    role = {"SYMBIOSIS_ROLE": "gateway", "SYMBIOSIS_PUBLIC_URL": "https://ai.example", "SYMBIOSIS_SECRET_KEY": "0123456789abcdefghij" * 3}
    # what other tests of this process left in its environment and its data directory does not count
    kept = ("PATH", "HOME", "SYMBIOSIS_KEY_PEPPER", "SYMBIOSIS_AUDIT_KEY", "SYMBIOSIS_KEK")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"DJANGO_SETTINGS_MODULE": "gateway.settings", "SYMBIOSIS_DATA_DIR": str(tmp_path), **role}
    done = subprocess.run([sys.executable, "manage.py", "check", "--deploy"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "System check identified no issues (3 silenced).\n")


def test_credentials_are_struck_out_of_logs() -> None:
    canary = "sgw_vk_AAAAAAAAAA_" + "S" * 38
    event = {
        "event": f"call with {canary} and sk-proj-abcdefgh12345",
        "headers": {"Authorization": "Bearer abcdefghijkl", "accept": "text/plain"},
        "url": "postgresql://me:hunter22@db/x?key=AIzaSecretValue",
        "list": [canary.encode()],
        "input_tokens": 5,
    }
    struck = logs.redaction(None, "info", event)
    assert struck == {
        "event": "call with [redacted] and [redacted]",
        "headers": {"Authorization": "[redacted]", "accept": "text/plain"},
        "url": "postgresql://[redacted]@db/x?key=[redacted]",
        "list": ["[redacted]"],
        "input_tokens": 5,
    }
    assert json.loads(logs._as_json(dict(struck))) == struck


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SMTP_URL": "mail.example.com:587"}, "SYMBIOSIS_SMTP_URL: must look like smtp://"),
        ({"SMTP_URL": "smtp://mail.example.com?tls=maybe", "MAIL_FROM": "a@example.com"}, "SYMBIOSIS_SMTP_URL: must look like smtp://"),
        ({"SMTP_URL": "smtp://mail.example.com"}, "SYMBIOSIS_MAIL_FROM must name the sender"),
        ({"MAIL_FROM": "Gateway <a@example.com>"}, "SYMBIOSIS_MAIL_FROM: must be a plain address"),
        ({"PRIVATE_CHANNELS": "not a host!"}, "SYMBIOSIS_PRIVATE_CHANNELS"),
        ({"OIDC_EXTERNAL_ID_CLAIM": "Email"}, "SYMBIOSIS_OIDC_EXTERNAL_ID_CLAIM: must name a claim that is never given to somebody else"),
        ({"LEAVER_ROTATE_DAYS": "0"}, "SYMBIOSIS_LEAVER_ROTATE_DAYS"),
    ],
)
def test_nonsense_about_notices_and_people_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        load_with(monkeypatch, **variables)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("variables", "broker"),
    [
        ({}, "filesystem://localhost"),
        ({"REDIS_URL": "redis://a/0"}, "redis://a/0"),
        ({"BROKER_URL": "amqp://b"}, "amqp://b"),
        ({"REDIS_URL": "redis://a/0", "BROKER_URL": "amqp://b"}, "amqp://b"),
    ],
)
def test_the_broker_is_the_one_named_else_redis_else_files(variables: dict[str, str], broker: str) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "gateway.settings", **{f"SYMBIOSIS_{name}": value for name, value in variables.items()}}
    asked = [sys.executable, "-c", "from gateway.settings import CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS as o; print(CELERY_BROKER_URL, bool(o))"]
    said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert said == [broker, str(broker.startswith("filesystem://"))]
