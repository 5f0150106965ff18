"""What a client will take, by its Accept header, as DICOMweb writes it. Pure.

The promise: the range of the highest q wins, among equals the first named; nothing that the client refused
(q=0) or did not name is sent, and what it named by itself is not given under a wildcard. Source: RFC 9110 12.5.1,
PS3.18 8.7.5 and 8.7.8.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

_PART = re.compile(r'((?:[^,"]|"[^"]*")+)')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*("[^"]*"|[^;,\s]*)')
MOST_RANGES = 50


@dataclass(frozen=True)
class Range:
    """One media range. ``multipart``: wrapped in multipart/related; ``media``: the type of the parts, may hold
    ``*``; ``syntax``: the transfer syntax asked for, "*" for any, "" where none was named; ``beside``: what the header
    ranks more specifically, so that a wildcard does not speak of it."""

    media: str
    multipart: bool
    syntax: str
    q: float
    beside: frozenset[str] = frozenset()

    def covers(self, media: str) -> bool:
        kind, _, rest = self.media.partition("/")
        if rest != "*":
            return self.media == media
        if media in self.beside or (kind == "*" and f"{media.partition('/')[0]}/*" in self.beside):
            return False
        return kind in ("*", media.partition("/")[0])


@lru_cache(maxsize=256)
def ranges(header: str, default: str = "*/*") -> tuple[Range, ...]:
    """The ranges of an Accept header, best first; those refused with q=0 are left out. Junk is left out."""
    found = [one for part in _PART.findall(header or default)[:MOST_RANGES] if (one := _range(part.strip()))]
    beside = frozenset(one.media for one in found if one.media != "*/*" and one.syntax in ("", "*"))
    kept = (replace(one, beside=beside) if one.media.endswith("/*") else one for one in found if one.q > 0)
    return tuple(sorted(kept, key=lambda one: -one.q))


def asked(accept_header: str, query_value: str, default: str = "*/*") -> tuple[Range, ...]:
    """The ranges of the ``accept`` query parameter where there is one, else of the header (PS3.18 8.3.3.1)."""
    return ranges(query_value.replace(" ", "+") if query_value else accept_header, default)


def _range(text: str) -> Range | None:
    media = text.split(";")[0].strip().lower()
    if "/" not in media:
        return None
    parameters = {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(text)}
    try:
        q = min(1.0, max(0.0, float(parameters.get("q", "1"))))
    except ValueError:
        q = 0.0
    multipart = media in ("multipart/related", "multipart/*")
    return Range((parameters.get("type") or "*/*").lower() if multipart else media, multipart,
                 parameters.get("transfer-syntax", ""), q)
