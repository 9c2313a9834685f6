"""`manage.py create_admin` makes the first administrator, or makes one of a user."""

import getpass
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import actions
from accounts.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-enough-one"


def run(*arguments: str) -> str:
    """Return what the command says."""
    out = StringIO()
    call_command("create_admin", *arguments, stdout=out)
    return out.getvalue()


def test_the_first_administrator_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIOSIS_ADMIN_PASSWORD", PASSWORD)
    assert run(" Ada@Example.com", "--full-name", "Ada Lovelace") .startswith("ada@example.com is an IT administrator")
    user = User.objects.get()
    assert (user.email, user.full_name, user.role, user.is_staff, user.is_superuser, user.is_active, user.check_password(PASSWORD)) == (
        "ada@example.com", "Ada Lovelace", "it_admin", True, False, True, True
    )  # fmt: skip


def test_the_password_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMBIOSIS_ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: PASSWORD)
    run("ada@example.com")
    assert User.objects.get().check_password(PASSWORD)


def test_a_user_is_promoted_and_let_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIOSIS_ADMIN_PASSWORD", PASSWORD)
    before = actions.save_user(User(email="ada@example.com", full_name="Ada", is_active=False), "another-long-one")
    run("ADA@example.com", "--full-name", "Somebody else")
    user = User.objects.get()
    assert (user.pk, user.full_name, user.role, user.is_active, user.check_password(PASSWORD)) == (before.pk, "Ada", "it_admin", True, True)


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("ada@example.com", "tiny7", "at least 12 characters"),
        ("ada-lovelace@example.com", "ada-lovelace@example.com", "too similar to the email"),
        ("not an address", PASSWORD, "valid email address"),
    ],
)
def test_weak_passwords_and_wrong_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, email: str, password: str, words: str) -> None:
    monkeypatch.setenv("SYMBIOSIS_ADMIN_PASSWORD", password)
    with pytest.raises(CommandError) as refusal:
        run(email)
    assert (words in str(refusal.value), password in str(refusal.value).replace(email, ""), User.objects.count()) == (True, False, 0)


def test_further_administrators_are_made_by_administrators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIOSIS_ADMIN_PASSWORD", PASSWORD)
    actions.save_user(User(email="demo@example.com", role="it_admin", is_demo=True))
    run("ada@example.com")
    run("ada@example.com")
    with pytest.raises(CommandError, match=r"There is an administrator already \(ada@example.com\).*break_glass --user bob@example.com"):
        run("bob@example.com")
    assert not User.objects.filter(email="bob@example.com").exists()
