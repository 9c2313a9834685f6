"""What there is, as a document that carrying out would not change."""

import io
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from gateway.governance import shelf
from gateway.governance.document import VERSION

WIDTH = 140


def export() -> str:
    """Return the document; secrets, keys and people's own data are not in it."""
    document = CommentedMap(version=VERSION)
    for kind in shelf():
        listed = [_shown(entry) for _, (entry, _) in sorted(kind.read().items())]
        if listed:
            document[kind.section] = listed
            document.yaml_set_comment_before_after_key(kind.section, before="\n")
    out = io.StringIO()
    yaml = YAML()
    yaml.width = WIDTH
    yaml.dump(document, out)
    return out.getvalue()


def _shown(entry: Any) -> CommentedMap:
    shown = CommentedMap()
    for name in entry.__struct_fields__:
        value = getattr(entry, name)
        if value is msgspec.UNSET or value is None:
            continue
        plain = msgspec.to_builtins(value)
        shown[name] = _in_a_line(plain) if isinstance(plain, list) and all(isinstance(one, str | int) for one in plain) else plain
    return shown


def _in_a_line(values: list[Any]) -> CommentedSeq:
    listed = CommentedSeq(values)
    listed.fa.set_flow_style()
    return listed
