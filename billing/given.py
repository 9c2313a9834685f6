"""Many values handed to the database as one parameter, for statements that change or add many rows at once. Knows no tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.db import connection

_json = msgspec.json.Encoder().encode


def given(name: str, **columns: str) -> str:
    """Return what stands after FROM for rows that `as_given` makes the parameter of: columns with their Postgres types, in order."""
    if connection.vendor == "postgresql":
        values = ", ".join(f"(r->>{index})::{kind} AS {column}" for index, (column, kind) in enumerate(columns.items()))
        return f"(SELECT {values} FROM jsonb_array_elements(%s::jsonb) AS t(r)) AS {name}"  # noqa: S608  # names of our own
    # a column without a type of its own could not be looked up in an index
    kinds = {"bigint": "INTEGER", "boolean": "NUMERIC"}
    values = ", ".join(
        f"CAST(json_extract(value, '$[{index}]') AS {kinds.get(kind, 'TEXT')}) AS {column}" for index, (column, kind) in enumerate(columns.items())
    )
    return f"(SELECT {values} FROM json_each(%s)) AS {name}"  # noqa: S608  # names of our own


def as_given(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows of texts and integers as the parameter of `given`."""
    return _json(list(rows)).decode()
