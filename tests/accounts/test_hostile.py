"""Text of strangers in mails: no header is broken, no direction turned, nothing in it can be followed."""

import pytest

from accounts.hostile import one_line, unlinked


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Load test on Friday. Then done.", "Load test on Friday. Then done."),
        ("gpt-4.1 for 12.50 USD, e.g. v1.2", "gpt-4.1 for 12.50 USD, e.g. v1.2"),
        ("ask ada@example.com, or bob@example.com.", "ask ada@example.com, or bob@example.com."),
        ("https://evil.example/pay", "https[:]//evil[.]example/pay"),
        ("see evil.com now", "see evil[.]com now"),
        ("(www.evil.com)", "(www[.]evil[.]com)"),
        ("evil.com/approve?x=1.", "evil[.]com/approve?x=1[.]"),
        ("http://192.0.2.1/x", "http[:]//192[.]0[.]2[.]1/x"),
        ("ехаmple.com and аррӏе.сом", "ехаmple[.]com and аррӏе[.]сом"),
        ("evil。com", "evil[。]com"),
        ("HTTPS:\\\\evil", "HTTPS[:]\\\\evil"),
        ("xn--80ak6aa92e.com", "xn--80ak6aa92e[.]com"),
        ("good@evil.com/https://x.y", "good@evil[.]com/https[:]//x[.]y"),
        ("line\r\nBcc: all@example.com", "line\nBcc: all@example.com"),
        ("a\u202eb\u200b\x00c\x1b", "abc"),
    ],
)
def test_no_address_in_text_can_be_followed(text: str, written: str) -> None:
    assert unlinked(text) == written


def test_a_title_is_one_line() -> None:
    assert one_line(" P\r\nBcc: all@example.com\u2028x\ty\u202e ") == "P Bcc: all@example.comx y"
