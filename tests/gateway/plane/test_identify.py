"""Who a key says is calling."""

import pytest
from msgspec.structs import replace

from accounts import keys
from gateway import errors
from gateway.plane.identify import UnknownKey, Verified, identify
from gateway.terms import Caller, Key

from . import builders


def test_a_good_key_gives_its_caller() -> None:
    text, key = builders.new_key()
    assert identify(text, builders.snapshot(keys=(key,)), builders.PEPPERS, 1_000) == Caller(key=key, project=builders.project())


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"state": "revoked"}, errors.KeyRevoked),
        ({"state": "suspended"}, errors.KeySuspended),
        ({"expires_at_s": 1_000}, errors.KeyExpired),
        ({"digest": b"another"}, UnknownKey),
        ({"pepper_version": 2}, UnknownKey),
        ({"project": "gone"}, errors.DependencyUnavailable),
    ],
)
def test_a_key_that_may_not_call_is_refused(change: dict[str, object], refusal: type[errors.Refusal]) -> None:
    text, key = builders.new_key(**change)
    with pytest.raises(errors.Refusal) as caught:
        identify(text, builders.snapshot(keys=(key,)), builders.PEPPERS, 1_000)
    assert type(caught.value) is refusal


def test_a_key_not_in_the_snapshot_is_unknown() -> None:
    with pytest.raises(UnknownKey):
        identify(builders.new_key()[0], builders.snapshot(), builders.PEPPERS, 1_000)


@pytest.mark.parametrize("text", [b"", b"sk-1234", b"sgw_vk_", b"sgw_vk_\xff", b"sgw_vk_0123456789_" + b"a" * 38, b"x" * 100_000])
def test_text_that_is_no_key_is_refused_without_a_look_up(text: bytes) -> None:
    with pytest.raises(errors.BadKey) as caught:
        identify(text, builders.snapshot(), builders.PEPPERS, 1_000)
    assert type(caught.value) is errors.BadKey


def test_a_service_accounts_token_is_the_wrong_kind() -> None:
    with pytest.raises(errors.WrongCredentialKind):
        identify(keys.make("sa").text.encode(), builders.snapshot(), builders.PEPPERS, 1_000)


def test_a_suspended_project_stops_its_keys() -> None:
    text, key = builders.new_key()
    with pytest.raises(errors.ProjectSuspended):
        identify(text, builders.snapshot(keys=(key,), projects=(builders.project(suspended=True),)), builders.PEPPERS, 1_000)


def test_a_verified_credential_is_judged_anew_by_each_snapshot() -> None:
    text, key = builders.new_key()
    verified = Verified()
    good = builders.snapshot(keys=(key,))
    for _ in range(2):
        assert identify(text, good, builders.PEPPERS, 1_000, verified) == Caller(key=key, project=builders.project())
    with pytest.raises(errors.KeyRevoked):
        identify(text, builders.snapshot(keys=(replace(key, state="revoked"),)), builders.PEPPERS, 1_000, verified)
    with pytest.raises(errors.KeyExpired):
        identify(text, good, builders.PEPPERS, key.expires_at_s, verified)
    with pytest.raises(UnknownKey):
        identify(text, builders.snapshot(keys=(replace(key, digest=bytes(32)),)), builders.PEPPERS, 1_000, verified)
    with pytest.raises(UnknownKey):
        identify(text, builders.snapshot(), builders.PEPPERS, 1_000, verified)
    assert identify(text, good, builders.PEPPERS, 1_000, verified) == Caller(key=key, project=builders.project())


def rotated(until_s: int) -> tuple[bytes, bytes, Key]:
    """Return the old and the new text of a key, and the key."""
    old, before = builders.new_key()
    new = keys.renew("vk", before.id).text.encode()
    peppered = keys.digest(new, builders.PEPPERS[1])
    return old, new, replace(before, digest=peppered, previous_digest=before.digest, previous_pepper_version=1, previous_until_s=until_s)


def test_after_a_rotation_both_secrets_are_the_same_caller_until_the_overlap_ends() -> None:
    old, new, key = rotated(1_500)
    snapshot, caller, verified = builders.snapshot(keys=(key,)), Caller(key=key, project=builders.project()), Verified()
    for _ in range(2):  # the second time from what was verified before
        assert [identify(text, snapshot, builders.PEPPERS, 1_499, verified) for text in (old, new)] == [caller, caller]
        assert identify(new, snapshot, builders.PEPPERS, 1_500, verified) == caller
        with pytest.raises(errors.KeyExpired) as caught:
            identify(old, snapshot, builders.PEPPERS, 1_500, verified)
        assert caught.value.message == "This key was rotated and its old secret has expired. Use the new one, or rotate the key again."


def test_a_secret_verified_before_its_rotation_ends_with_the_overlap() -> None:
    old, before = builders.new_key()
    verified = Verified()
    identify(old, builders.snapshot(keys=(before,)), builders.PEPPERS, 1_000, verified)
    new = keys.digest(b"new", builders.PEPPERS[1])
    after = replace(before, digest=new, previous_digest=before.digest, previous_pepper_version=1, previous_until_s=1_500)
    snapshot = builders.snapshot(keys=(after,))
    assert identify(old, snapshot, builders.PEPPERS, 1_499, verified).key == after
    with pytest.raises(errors.KeyExpired):
        identify(old, snapshot, builders.PEPPERS, 1_500, verified)


def test_the_old_secret_of_a_revoked_key_is_revoked_too() -> None:
    old, _, key = rotated(1_500)
    with pytest.raises(errors.KeyRevoked):
        identify(old, builders.snapshot(keys=(replace(key, state="revoked"),)), builders.PEPPERS, 1_000)
