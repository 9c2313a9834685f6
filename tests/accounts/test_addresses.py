"""Which addresses may be connected to."""

import pytest

from accounts.addresses import AddressRules, network_of

PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8")
NEVER = (
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "::ffff:0.0.0.0",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "no address",
    "",
)
PRIVATE = ("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::1")
LOOPBACK = ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")


@pytest.mark.parametrize("setting", ["none", "", "loopback", "0.0.0.0/0,::/0"])
def test_metadata_and_link_local_are_refused_whatever_the_setting_says(setting: str) -> None:
    rules = AddressRules(setting)
    assert [ip for ip in NEVER if rules.check(ip)] == []
    assert [ip for ip in PUBLIC if rules.check(ip)] == list(PUBLIC)


def test_private_addresses_are_allowed_only_as_listed() -> None:
    assert [ip for ip in PRIVATE + LOOPBACK if AddressRules("none").check(ip)] == []
    assert [ip for ip in PRIVATE + LOOPBACK if AddressRules("loopback").check(ip)] == list(LOOPBACK)
    assert [ip for ip in PRIVATE + LOOPBACK if AddressRules("10.0.0.0/8").check(ip)] == [
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::1",
    ]
    assert [ip for ip in PRIVATE + LOOPBACK if AddressRules("192.168.1.1, fc00::/7").check(ip)] == ["192.168.1.1", "fc00::1"]


def test_a_listed_host_name_may_be_private_but_not_metadata() -> None:
    rules = AddressRules("vllm.internal")
    assert rules.check("10.0.0.1", "VLLM.internal.") is True
    assert rules.check("10.0.0.1", "other.internal") is False
    assert rules.check("169.254.169.254", "vllm.internal") is False


@pytest.mark.parametrize("setting", ["http://x", "10.0.0.0/33", "a b", "*"])
def test_a_setting_that_means_nothing_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="private_upstreams"):
        AddressRules(setting)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"), ("::ffff:192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2ff::9", "2001:db8:1:200::/56"), ("unix:", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_network_of_a_visitor(address: str, network: str) -> None:
    assert network_of(address) == network
