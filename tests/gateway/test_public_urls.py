"""A vendor's addresses as callers are told them."""

import orjson
import pytest

from gateway.public_urls import PublicUrls, public_url

URLS = PublicUrls("https://gw.example/", "acme", "https://api.vendor.example/v1")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://api.vendor.example/v1/batches/b/results", "https://gw.example/v1/acme/batches/b/results"),
        ("https://API.vendor.example:443/v1/x?a=1&b=%2F", "https://gw.example/v1/acme/x?a=1&b=%2F"),
        ("https://api.vendor.example/v2/x", "https://api.vendor.example/v2/x"),
        ("https://api.vendor.example/v1x/y", "https://api.vendor.example/v1x/y"),
        ("http://api.vendor.example/v1/x", "http://api.vendor.example/v1/x"),
        ("https://api.vendor.example:8443/v1/x", "https://api.vendor.example:8443/v1/x"),
        ("https://cdn.vendor.example/v1/x.png", "https://cdn.vendor.example/v1/x.png"),
        ("https://api.vendor.example.evil/v1/x", "https://api.vendor.example.evil/v1/x"),
        ("http://[", "http://["),
    ],
)
def test_only_the_accounts_own_api_is_told_as_ours(url: str, told: str) -> None:
    assert URLS.told(url) == told


def test_fields_that_lead_on_are_told_and_others_stay() -> None:
    ours, theirs = "https://gw.example/v1/acme/x", "https://api.vendor.example/v1/x"
    body = {"data": [{"results_url": theirs, "uri": theirs, "url": theirs}], "next": theirs, "note": theirs, "next_page": 3}
    told = orjson.loads(URLS.json(orjson.dumps(body)))
    assert told == {"data": [{"results_url": ours, "uri": theirs, "url": theirs}], "next": ours, "note": theirs, "next_page": 3}
    for untouched in (b'{"a": 1}', b'{"note":  "api.vendor.example"}'):
        assert URLS.json(untouched) == untouched


def test_headers_that_lead_on_are_told_and_others_are_not_passed() -> None:
    given = [
        (b"location", b"https://api.vendor.example/v1/jobs/1"),
        (b"operation-location", b"https://elsewhere.example/x"),
        (b"x-goog-upload-url", b"https://api.vendor.example/v1/upload?id=1"),
        (b"x-goog-upload-status", b"active"),
        (b"set-cookie", b"a=b"),
    ]
    assert URLS.headers(given) == (
        (b"x-goog-upload-status", b"active"),
        (b"location", b"https://gw.example/v1/acme/jobs/1"),
        (b"x-goog-upload-url", b"https://gw.example/v1/acme/upload?id=1"),
    )


def test_without_a_public_address_the_callers_own_counts() -> None:
    assert [public_url("https://gw.example", {b"host": b"other"}), public_url("", {b"host": b"me:8000"})] == ["https://gw.example", "http://me:8000"]
