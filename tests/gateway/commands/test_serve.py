"""`manage.py serve` refuses to start where it should not, and says what to do."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from accounts import actions as account_actions
from accounts.models import BusinessUnit, Project, User
from gateway import actions
from gateway.management.commands import serve
from gateway.models import ProviderAccount
from gateway.secretfile import new_keyset
from gateway.supervisor import listen
from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[3]


class Replaced(Exception):
    """Raised in the place of becoming the supervisor, with its command line."""


@pytest.fixture(autouse=True)
def installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that knows its address; the process is not really replaced."""

    def replace(program: str, command: list[str]) -> None:
        raise Replaced(command)

    monkeypatch.setattr(serve, "settings", serve.settings.model_copy(update={"public_url": "https://gateway.example.com"}))
    monkeypatch.setattr(os, "execv", replace)


def refusal(*arguments: str) -> str:
    """Return the words with which `serve` refuses to start."""
    with pytest.raises(CommandError) as refused:
        call_command("serve", *arguments)
    return str(refused.value)


def demo_user(**fields: object) -> User:
    return account_actions.save_user(User(email="dev@demo.local", is_demo=True, **fields), "a-long-enough-one")


def account_with_credential(slug: str) -> ProviderAccount:
    account = ProviderAccount(slug=slug, name=slug, provider="openai_compatible", base_url="http://127.0.0.1:9009/v1")
    return actions.save_provider_account(account, "a-vendor-credential")


def test_without_a_public_url_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "settings", serve.settings.model_copy(update={"public_url": ""}))
    assert refusal() == "SYMBIOSIS_PUBLIC_URL is not set. Set it to the address callers use, such as https://gateway.example.com."


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("localhost:8000", "--bind localhost:8000: write an IP address and a port, such as 0.0.0.0:8000 or [::1]:8000."),
        ("8000", "--bind 8000: write an IP address and a port, such as 0.0.0.0:8000 or [::1]:8000."),
        ("127.0.0.1", "--bind 127.0.0.1: write an IP address and a port, such as 0.0.0.0:8000 or [::1]:8000."),
        ("127.0.0.1:http", "--bind 127.0.0.1:http: write an IP address and a port, such as 0.0.0.0:8000 or [::1]:8000."),
        ("127.0.0.1:0", "--bind 127.0.0.1:0: the port must be between 1 and 65535."),
        ("[::1]:65536", "--bind [::1]:65536: the port must be between 1 and 65535."),
    ],
)
def test_a_bad_address_is_refused(bind: str, words: str) -> None:
    assert refusal("--bind", bind) == words


def test_addresses_are_ipv4_ipv6_or_every_one() -> None:
    assert [serve.address(text) for text in ("10.0.0.1:80", "[::1]:8000", ":8000")] == [("10.0.0.1", 80), ("::1", 8000), ("0.0.0.0", 8000)]


@pytest.mark.parametrize("workers", ["0", "257", "-1"])
def test_a_wrong_number_of_workers_is_refused(workers: str) -> None:
    assert refusal("--workers", workers) == "--workers must be between 1 and 256."


def test_an_unknown_role_is_refused() -> None:
    assert "invalid choice: 'boss'" in refusal("--role", "boss")


@pytest.mark.django_db
def test_demo_identities_are_refused_until_they_are_removed() -> None:
    user = demo_user()
    unit = account_actions.save_business_unit(BusinessUnit(name="u"))
    project = account_actions.save_project(Project(name="p", business_unit=unit))
    key, _ = account_actions.make_key(
        project=project, name="k", models=["*"], expires_at=timezone.now() + timedelta(days=1), pepper=b"p", pepper_version=1, is_demo=True
    )
    assert refusal() == (
        "Demo identities are enabled (1 users, 1 keys, 0 service accounts): their passwords are not yours alone.\n"
        "Remove them with: python manage.py demo_remove   (to try the demo: make run)"
    )
    account_actions.set_users_active([user], False)
    assert "(0 users, 1 keys, 0 service accounts)" in refusal()
    account_actions.set_key_state(key, "revoked")
    with pytest.raises(Replaced):
        call_command("serve", "--role", "worker")


@pytest.mark.django_db
def test_waiting_migrations_are_refused() -> None:
    newest = MigrationRecorder.Migration.objects.filter(app="billing").latest("id")
    newest.delete()
    assert refusal() == "The database is not up to date. Run: python manage.py migrate"


@pytest.mark.django_db
def test_one_broken_seal_stops_nobody() -> None:
    account_with_credential("first")
    second = account_with_credential("second")
    ProviderAccount.objects.filter(pk=second.pk).update(sealed_credential=b"altered")
    with pytest.raises(Replaced):
        call_command("serve", "--role", "worker")


@pytest.mark.django_db
def test_another_kek_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for slug in ("first", "second"):
        account_with_credential(slug)
    stranger = type(actions.sealer())(new_keyset())
    monkeypatch.setattr(actions, "sealer", lambda: stranger)
    assert refusal() == (
        "SYMBIOSIS_KEK opens none of the 2 sealed credentials: it is not the one they were sealed with. Restore it from your backup of the secrets."
    )


@pytest.mark.django_db
def test_a_taken_address_is_refused() -> None:
    with listen("127.0.0.1", 0) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        assert refusal("--bind", where) == f"Cannot listen on {where} (Address already in use). Choose another address with --bind."


@pytest.mark.django_db
def test_a_ready_installation_becomes_the_supervisor_with_its_socket() -> None:
    with pytest.raises(Replaced) as started:
        call_command("serve", "--role", "gateway", "--workers", "2", "--bind", f"127.0.0.1:{free_port()}")
    command = started.value.args[0]
    os.close(int(command[-1]))
    assert command[:-1] == [
        *(sys.executable, "-m", "gateway.supervisor", "--role", "gateway", "--workers", "2", "--drain-s", "30"),
        *("--data-dir", str(serve.settings.data_dir), "--fd"),
    ]


def test_settings_that_are_refused_end_in_words(tmp_path: Path) -> None:
    environment = {**os.environ, "SYMBIOSIS_KEK": '{"primaryKeyId": 1}', "DJANGO_SETTINGS_MODULE": "gateway.settings"}
    done = subprocess.run([sys.executable, "manage.py", "serve"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "The settings are refused:\n  SYMBIOSIS_KEK: must be a tink keyset in JSON; `python manage.py init_secrets` makes one.\n",
    )
