"""Values from outside, as a column can hold them on every database."""
from __future__ import annotations

from math import isfinite

from sqlalchemy import Column, Float, Integer, String, Table

LARGEST_INTEGER = 2**31 - 1


def fitted(table: Table, values: dict) -> dict:
    """``values`` from outside as the columns of ``table`` can hold them on every database: a text is cut to its
    column's length and loses NULs, a number that no column holds becomes None (or, where one is required, the
    nearest that fits). Originals are kept as bytes, so nothing is lost by it."""
    columns = table.c
    return {name: value if value is None else _fitted(columns[name], value) for name, value in values.items()}


def _fitted(column: Column, value):
    kind = column.type
    if isinstance(value, str):
        if isinstance(kind, String) and ("\0" in value or kind.length is not None and len(value) > kind.length):
            return value.replace("\0", "")[:kind.length]
    elif type(value) is int:
        if type(kind) is Integer and abs(value) > LARGEST_INTEGER:
            return None if column.nullable else max(-LARGEST_INTEGER, min(value, LARGEST_INTEGER))
    elif isinstance(value, float) and isinstance(kind, Float) and not isfinite(value):
        return None
    return value
