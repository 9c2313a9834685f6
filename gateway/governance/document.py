"""Reads documents: YAML 1.2 without aliases, of known sections and fields, every mistake told with its line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import AliasToken, AnchorToken

from gateway.governance import Kind, Name, shelf

VERSION = 1
MOST_BYTES = 5 * 1024 * 1024
MOST_ENTRIES = 20_000
PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`")
STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


@dataclass(frozen=True)
class Mistake:
    """What is wrong, at which line (0: nowhere in particular)."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class Refused(Exception):
    """A document that was not carried out: every mistake that was found."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Stated:
    """One entry of a document and its line."""

    entry: Any
    line: int


def read(text: str) -> dict[Kind, dict[Name, Stated]]:
    """Return the entries of a document by kind and name. Raises Refused with every mistake of form."""
    tree = _parsed(text)
    kinds = {kind.section: kind for kind in shelf()}
    if not isinstance(tree, dict) or tree.get("version") != VERSION:
        raise Refused([Mistake(1, f"Begin with `version: {VERSION}`.")])
    mistakes = [
        Mistake(_line(tree, [name]), f"There is no section {name!r}. Sections are: {', '.join(kinds)}.") for name in tree if name not in {"version", *kinds}
    ]
    stated: dict[Kind, dict[Name, Stated]] = {}
    for name, kind in kinds.items():
        if name in tree:
            stated[kind] = _section(kind, tree, mistakes)
    if mistakes:
        raise Refused(mistakes)
    return stated


def _parsed(text: str) -> Any:
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise Refused([Mistake(0, f"A document may have {MOST_BYTES} bytes.")])
    try:
        for token in YAML(pure=True).scan(text):
            if isinstance(token, AliasToken | AnchorToken):
                raise Refused([Mistake(token.start_mark.line + 1, "Anchors and aliases are not allowed: write the value out.")])
        return YAML(pure=True).load(text)
    except MarkedYAMLError as error:
        raise Refused([Mistake(error.problem_mark.line + 1 if error.problem_mark else 0, f"This is not YAML: {error.problem}.")]) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise Refused([Mistake(0, f"This is not YAML: {' '.join(str(error).split())[:300]}")]) from error


def _section(kind: Kind, tree: Any, mistakes: list[Mistake]) -> dict[Name, Stated]:
    listed = tree[kind.section]
    if listed is None:
        return {}
    if not isinstance(listed, list) or len(listed) > MOST_ENTRIES:
        mistakes.append(Mistake(_line(tree, [kind.section]), f"{kind.section} is a list of at most {MOST_ENTRIES} entries."))
        return {}
    found: dict[Name, Stated] = {}
    for number, given in enumerate(listed):
        line = _line(tree, [kind.section, number])
        try:
            entry = msgspec.convert(_plain(given), kind.entry, strict=True)
        except msgspec.ValidationError as error:
            mistakes.append(_misfit(error, tree, kind.section, number))
            continue
        name = kind.name(entry)
        if name in found:
            mistakes.append(Mistake(line, f"{kind.section}: {' / '.join(name)} is stated twice, first at line {found[name].line}."))
        found[name] = Stated(entry, line)
    return found


def _misfit(error: msgspec.ValidationError, tree: Any, section: str, number: int) -> Mistake:
    said = str(error)
    place = PLACE.search(said)
    path: list[str | int] = [section, number]
    if place:
        path += [int(index) if index else word for word, index in STEP.findall(place["path"])]
    where = section + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[1:])
    return Mistake(_line(tree, path), f"{where}: {PLACE.sub('', said)}.")


def _line(tree: Any, path: list[Any]) -> int:
    """Return the line of the deepest part of a path that has one, counted from 1."""
    line, node = 1, tree  # ruamel keeps lines on its own kinds of lists and mappings
    for step in path:
        try:
            marks: Any = node.lc
            line = (marks.item(step) if isinstance(step, int) else marks.key(step))[0] + 1
            node = node[step]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line


def _plain(value: Any) -> Any:
    """Return YAML's values as plain ones; what is neither text, number, truth nor a collection of these becomes text and is refused later."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    return next((kind(value) for kind in (int, float, str) if isinstance(value, kind)), str(value))
