"""IP ranges and tags of keys."""

import pytest

from accounts.ranges import MOST_RANGES, is_within, joined_tags, read_ranges, read_tags, shown_tags


@pytest.mark.parametrize(
    ("ip", "ranges", "expected"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8",), False),
        ("192.0.2.7", ("192.0.2.7/32",), True),
        ("2001:db8::1", ("10.0.0.0/8", "2001:db8::/32"), True),
        ("2001:db9::1", ("2001:db8::/32",), False),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("::ffff:11.1.2.3", ("::/0",), False),
        ("10.1.2.3", ("::/0",), False),
        ("", ("0.0.0.0/0", "::/0"), False),
        ("no address", ("0.0.0.0/0", "::/0"), False),
    ],
)
def test_an_address_lies_in_its_ranges_and_in_no_other(ip: str, ranges: tuple[str, ...], expected: bool) -> None:
    assert is_within(ip, ranges) is expected


def test_ranges_are_kept_in_one_form_once() -> None:
    given = ["10.1.2.3/8", " 192.0.2.7", "2001:DB8:0::/32", "10.0.0.0/8"]
    assert read_ranges(given) == ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]


@pytest.mark.parametrize("given", [["10.0.0.0/33"], ["host.example.com"], [7], [None], "10.0.0.0/8", {"a": 1}, ["10.0.0.1"] * (MOST_RANGES + 1)])
def test_what_is_no_range_is_refused(given: object) -> None:
    with pytest.raises(ValueError):
        read_ranges(given)


@pytest.mark.parametrize(
    "given",
    [{"a b": "x"}, {"": "x"}, {"a": ""}, {"a": "x,y"}, {"a": "x=y"}, {"a": "\0"}, {"a": 7}, ["a"], {"a": "x" * 101}, {str(n): "x" for n in range(21)}],
)
def test_what_is_no_tag_is_refused(given: object) -> None:
    with pytest.raises(ValueError):
        read_tags(given)


def test_all_tags_together_fit_into_a_call() -> None:
    with pytest.raises(ValueError):
        read_tags({"a": "x" * 100, "b": "y" * 100})


def test_a_call_adds_tags_and_cannot_change_those_of_its_key() -> None:
    own = shown_tags(read_tags({"team": "checkout", "cost": "4711"}))
    assert own == "cost=4711,team=checkout"
    assert joined_tags(own, "") == own
    assert joined_tags(own, "env=prod, team =other,team=other,,flag") == "cost=4711,team=checkout,env=prod,flag"
