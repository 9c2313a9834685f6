"""Turns the typed dicts of vendors' SDKs into checks that forbid unknown keys and look into every iterable."""

import collections.abc
import os
import types
import typing
from functools import cache
from typing import Any

import typing_extensions
from pydantic import BaseModel, ConfigDict, TypeAdapter

UNIONS = (typing.Union, types.UnionType)
LISTS = (collections.abc.Iterable, collections.abc.Sequence, list)
# what SDKs read on the client's machine; no JSON holds it
FILES = (typing.IO, os.PathLike)
WRAPPERS = (typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly)


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return a check of values that a vendor's type describes; `validate_python(value)` raises ValidationError."""
    return TypeAdapter(_strict(kind, {}))


def _strict(kind: Any, made: dict[Any, Any]) -> Any:
    """Return the type with iterables as lists and typed dicts without unknown keys; a type that holds itself ends at Any."""
    origin: Any = typing.get_origin(kind)
    inner: tuple[Any, ...] = typing.get_args(kind)
    if kind in FILES or origin in FILES:
        return typing.Literal["a file, which no JSON holds"]
    if typing_extensions.is_typeddict(kind):
        if kind not in made:
            made[kind] = Any
            made[kind] = _closed(kind, made)
        return made[kind]
    if origin is None or origin is typing.Literal:
        return kind
    if origin is typing.Annotated:
        return _strict(inner[0], made)
    if origin in UNIONS:
        # SDKs take their own answers' models for requests too; those forbid nothing
        inner = tuple(part for part in inner if not _is_model(part)) or inner
    parts = tuple(_strict(part, made) for part in inner)
    if origin in UNIONS:
        return typing.Union[parts]  # noqa: UP007  # made at run time
    if origin in LISTS:
        return list[parts[0]]  # type: ignore[valid-type]
    if origin in WRAPPERS:
        return origin[parts[0]]
    if origin in (dict, collections.abc.Mapping):
        return dict[parts[0], parts[1]]  # type: ignore[valid-type]
    return kind


def _closed(kind: Any, made: dict[Any, Any]) -> Any:
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    keys = {}
    for name, hint in hints.items():
        bare: Any = hint
        while typing.get_origin(bare) in WRAPPERS:
            bare = typing.get_args(bare)[0]
        strict = _strict(bare, made)
        keys[name] = typing_extensions.Required[strict] if name in kind.__required_keys__ else typing_extensions.NotRequired[strict]
    closed: Any = typing_extensions.TypedDict(kind.__name__, keys)  # type: ignore[misc]
    setattr(closed, "__pydantic_config__", ConfigDict(extra="forbid"))  # noqa: B010  # no type checker knows it
    return closed


def _is_model(kind: Any) -> bool:
    origin: Any = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _is_model(typing.get_args(kind)[0])
    if origin in UNIONS:
        return all(_is_model(part) for part in typing.get_args(kind))
    return isinstance(kind, type) and issubclass(kind, BaseModel)
