"""Asking a provider for its models when the provider means ill: bounded in time and size, told in words, never with the credential."""

import time
from collections.abc import Iterator

import pytest

from accounts.addresses import AddressRules
from gateway import discovery
from gateway.discovery import ProbeFailed, list_models
from gateway.providers import shelf
from tests.fakes.listing import CREDENTIAL, listing_provider

NO_LIST = "The provider answers, but not with a list of models. Check the kind of provider and the path of the base URL."
LATE = "The provider did not answer in full within 0.4 s. Check the base URL and the firewall."
TOO_LONG = "The answer is longer than 2 MiB. Check that the base URL leads to a model provider."


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A running provider that means ill under some paths."""
    with listing_provider() as url:
        yield url


def listed(url: str, rules: str = "loopback", ca_pem: str = "") -> list[str]:
    return list_models(shelf()["openai_compatible"], url, CREDENTIAL, ca_pem, AddressRules(rules))


def failure(url: str, **options: str) -> str:
    """Return the words in which the probe failed."""
    with pytest.raises(ProbeFailed) as failed:
        listed(url, **options)
    assert CREDENTIAL not in str(failed.value)
    return str(failed.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("redirect", "The provider redirects (HTTP 302), which is never followed. Enter the final base URL."),
        ("html", NO_LIST),
        ("deep", NO_LIST),
        ("number", NO_LIST),
        ("empty", NO_LIST),
        ("no-list", NO_LIST),
        ("no-ids", NO_LIST),
        ("huge", TOO_LONG),
        ("bomb", TOO_LONG),
    ],
)
def test_a_strange_answer_is_told_in_words(origin: str, path: str, words: str) -> None:
    assert failure(f"{origin}/{path}") == words


@pytest.mark.parametrize("path", ["silent", "drips", "drips-headers"])
def test_an_answer_that_does_not_end_is_left(origin: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "TIMEOUT_S", 0.4)
    started_s = time.monotonic()
    assert failure(f"{origin}/{path}") == LATE
    assert time.monotonic() - started_s < 3


def test_ten_thousand_models_are_all_listed(origin: str) -> None:
    assert listed(f"{origin}/many") == [f"model-{number:05}" for number in range(10_000)]


def test_only_names_that_can_be_names_are_listed(origin: str) -> None:
    assert listed(f"{origin}/odd-names") == ["good"]


def test_a_private_address_is_not_connected_to(origin: str) -> None:
    assert "has a private or forbidden address" in failure(origin, rules="none")


def test_a_custom_ca_that_is_none_is_told() -> None:
    assert failure("https://127.0.0.1:9", ca_pem="not a certificate") == "The custom CA is not a certificate in PEM form, or TLS failed with it."
