"""Text that strangers wrote, made fit for a mail: one line, no control characters, and nothing in it that a mail program turns into a link."""

import re
import unicodedata

# What browsers take for the dot between the labels of a name.
DOTS = ".。．｡․"
# A scheme, "www", or labels that end in letters as top-level domains do; in any script, for a homograph is no less a link.
LINK = re.compile(rf"[^\W_][\w+.-]*:[/\\]|(?:^|\W)www[{DOTS}]|\w[{DOTS}][^\W\d_]{{2,}}(?=$|[^\w{DOTS}]|[{DOTS}](?:\W|$))|xn--", re.IGNORECASE)
MAIL = re.compile(r"[A-Za-z0-9.+_-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+[,.;:)]?")


def plain(text: str) -> str:
    """Return text without control, format and private characters but line ends: nothing that breaks a header or turns the direction of reading."""
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))


def one_line(text: str) -> str:
    """Return text as one line."""
    return " ".join(plain(text.replace("\r", "\n").replace("\t", " ")).split())


def unlinked(text: str) -> str:
    """Return text in which addresses are written so that no program follows them: `https[:]//example[.]com`. Plain mail addresses stay."""
    return re.sub(r"\S+", _unlinked_word, plain(text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")))


def _unlinked_word(found: re.Match[str]) -> str:
    word = found.group()
    if MAIL.fullmatch(word) or not LINK.search(word):
        return word
    return re.sub(rf"[{DOTS}]", lambda dot: f"[{dot.group()}]", re.sub(r":(?=[/\\])", "[:]", word))
