"""URLs that administrators enter lead nowhere they must not: checked in words, by every address of a name, and again where it is connected."""

import socket
from typing import Any

import pytest

from accounts import egress
from accounts.addresses import AddressRules
from accounts.egress import Answer, NotAllowed, NotDelivered, check_url, deliver, post
from tests.fakes.ports import free_port
from tests.fakes.receiver import receiving

NONE, LOOPBACK = AddressRules("none"), AddressRules("loopback")
REFUSED = [
    "http://169.254.169.254/latest/meta-data/",
    "http://localhost/",
    "http://127.0.0.1:8000/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://134744072/",
    "http://10.0.0.1/",
    "http://0.0.0.0/",
    "http://8.8.8.8:22/",
    "http://8.8.8.8:25/",
    "file:///etc/passwd",
    "ftp://8.8.8.8/",
    "gopher://8.8.8.8:6379/_FLUSHALL",
    "mailto://user@8.8.8.8",
    "json://8.8.8.8/",
    "//8.8.8.8/",
    "8.8.8.8",
    "",
    "http://user@8.8.8.8/",
    "http://user:pass@8.8.8.8/",
    "http://8.8.8.8#@127.0.0.1/",
    "http://8.8.8.8\\@127.0.0.1/",
    "http://8.8.8.8 .example/",
    "http://8.8.8.8/\r\nhost: x",
    "http://１２７.0.0.1/",
    "http:///path",
]


def answers(monkeypatch: pytest.MonkeyPatch, *rounds: list[str]) -> list[str]:
    """Have names resolve to these addresses, one list for each question, the last one for ever; return the names asked for."""
    left, asked, real = list(rounds), [], socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if not str(host).endswith(".example"):
            return real(host, port, *args, **options)
        asked.append(str(host))
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_leads_inside_is_refused_at_save_and_at_send(url: str) -> None:
    with pytest.raises(NotAllowed):
        check_url(url, NONE)
    with pytest.raises(NotAllowed):
        post(url, b"", {}, NONE)


@pytest.mark.parametrize("url", ["https://8.8.8.8/hook?x=1", "http://8.8.8.8:8080/", "https://[2606:4700::1111]/"])
def test_a_public_url_is_allowed(url: str) -> None:
    assert str(check_url(url, NONE)) == url


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(NotAllowed, match="private or forbidden"):
        check_url("https://mixed.example/", NONE)


def test_metadata_is_refused_even_when_everything_private_is_allowed() -> None:
    with pytest.raises(NotAllowed):
        check_url("http://169.254.169.254/", AddressRules("0.0.0.0/0,::/0"))


def test_a_name_that_turns_private_after_the_check_is_refused_where_it_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        asked = answers(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
        with pytest.raises(NotAllowed, match="private or forbidden"):
            post(f"http://turns.example:{port}/", b"{}", {}, NONE)
    assert (asked, receiver.got) == (["turns.example", "turns.example"], [])


def test_the_checked_address_is_the_one_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        asked = answers(monkeypatch, ["127.0.0.1"])
        assert post(f"http://mine.example:{port}/", b"{}", {}, LOOPBACK) == Answer(200, b"")
    # asked twice: by the check and by the connection, which then needs no third answer
    assert (asked, receiver.got[0][0]["host"]) == (["mine.example", "mine.example"], f"mine.example:{port}")


def test_a_redirect_is_not_followed() -> None:
    with receiving() as inside, receiving() as receiver:
        receiver.answers, receiver.headers = [307], {"location": inside.url}
        with pytest.raises(NotDelivered, match=r"redirects \(HTTP 307\), which is never followed"):
            deliver(receiver.url, b"{}", {}, LOOPBACK)
    assert (len(receiver.got), inside.got) == (1, [])


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        deliver(receiver.url, b"{}", {}, LOOPBACK)
    assert (len(receiver.got), proxy.got) == (1, [])


def test_an_answer_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "TIMEOUT_S", 0.2)
    with receiving() as receiver:
        receiver.answers = [0]
        with pytest.raises(NotDelivered, match="did not answer"):
            deliver(receiver.url, b"{}", {}, LOOPBACK)
        receiver.released.set()


def test_nobody_there_is_said_in_words() -> None:
    port = free_port()
    with pytest.raises(NotDelivered, match=r"127\.0\.0\.1 cannot be reached"):
        deliver(f"http://127.0.0.1:{port}/", b"{}", {}, LOOPBACK)
