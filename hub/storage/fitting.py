"""Values from outside, as a column can hold them on every database."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import isfinite

from sqlalchemy import Column, Float, Integer, String, Table

LARGEST_INTEGER = 2**31 - 1


def fitted(table: Table, values: dict) -> dict:
    """``values`` from outside as the columns of ``table`` can hold them on every database: a text is cut to its
    column's length and loses NULs, a number that no column holds becomes None (or, where one is required, the
    nearest that fits). Originals are kept as bytes, so nothing is lost by it."""
    limits = _limits(table)
    return {name: value if value is None else _fitted(limits[name], value) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class _Limit:
    """What one column holds. ``length``: of a text, None without a limit."""

    is_text: bool
    length: int | None
    is_integer: bool
    is_float: bool
    is_nullable: bool


@cache
def _limits(table: Table) -> dict[str, _Limit]:
    return {column.name: _limit(column) for column in table.c}


def _limit(column: Column) -> _Limit:
    kind = column.type
    is_text = isinstance(kind, String)
    return _Limit(is_text, kind.length if is_text else None, type(kind) is Integer, isinstance(kind, Float), bool(column.nullable))


def _fitted(limit: _Limit, value):
    if isinstance(value, str):
        if limit.is_text and ("\0" in value or limit.length is not None and len(value) > limit.length):
            return value.replace("\0", "")[:limit.length]
    elif type(value) is int:
        if limit.is_integer and abs(value) > LARGEST_INTEGER:
            return None if limit.is_nullable else max(-LARGEST_INTEGER, min(value, LARGEST_INTEGER))
    elif limit.is_float and isinstance(value, float) and not isfinite(value):
        return None
    return value
