"""What brings a worker from one revision to the next."""

import msgspec
import pytest

from gateway.plane.snapshot import BadSnapshot, Structure, Update, apply, decode

from . import builders


def structure(**changes: object) -> Structure:
    whole = Structure(accounts=(builders.sealed_account(),), models=(builders.model("chat", builders.deployment()),), projects=(builders.project(),))
    return msgspec.structs.replace(whole, **changes)


def test_a_delta_changes_keys_and_keeps_the_rest() -> None:
    _, one = builders.new_key()
    _, two = builders.new_key()
    first = apply(None, Update(revision=1, structure=structure(), keys=(one, two), whole=True), builders.SHELF, builders.opened)
    revoked = msgspec.structs.replace(one, state="revoked")
    second = apply(first, Update(revision=2, keys=(revoked,), removed=(two.id,)), builders.SHELF, builders.opened)
    assert (second.revision, second.keys) == (2, {one.id: revoked})
    assert (second.models, second.accounts) == (first.models, first.accounts)
    assert first.keys == {one.id: one, two.id: two}


@pytest.mark.parametrize(
    "update",
    [
        Update(revision=1, keys=()),
        Update(revision=1, whole=True),
        Update(revision=1, structure=structure(accounts=()), whole=True),
        Update(revision=1, structure=structure(accounts=(builders.sealed_account(provider="nobody"),)), whole=True),
    ],
)
def test_what_would_not_serve_is_refused(update: Update) -> None:
    with pytest.raises(BadSnapshot):
        apply(None, update, builders.SHELF, builders.opened)


def test_a_credential_that_does_not_open_is_refused_without_naming_it() -> None:
    def broken(sealed: bytes, bound_to: bytes) -> bytes:
        raise ValueError("no")

    account = builders.sealed_account(sealed_credential=b"canary-secret")
    with pytest.raises(BadSnapshot) as caught:
        apply(None, Update(revision=1, structure=structure(accounts=(account,)), whole=True), builders.SHELF, broken)
    assert "canary" not in str(caught.value)


def test_an_update_survives_its_way_over_the_wire() -> None:
    _, key = builders.new_key(models=frozenset({"chat"}))
    update = Update(revision=3, structure=structure(), keys=(key,), whole=True)
    assert decode(msgspec.msgpack.encode(update)) == update


def test_an_accounts_revision_follows_its_content() -> None:
    one = builders.snapshot(builders.model("chat", builders.deployment()))
    same = builders.snapshot(builders.model("chat", builders.deployment()))
    other = builders.snapshot(accounts=(builders.sealed_account(base_url="http://127.0.0.1:10/v1"),))
    assert one.accounts["acme"].revision == same.accounts["acme"].revision
    assert one.accounts["acme"].revision != other.accounts["acme"].revision
