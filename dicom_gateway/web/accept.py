"""What a client will take, by its Accept header, as DICOMweb writes it. Pure.

The promise: the range of the highest q wins, among equals the first named; nothing that the client refused
(q=0) or did not name is sent. Source: RFC 9110 12.5.1, PS3.18 8.7.5 and 8.7.8.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_PART = re.compile(r'((?:[^,"]|"[^"]*")+)')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*("[^"]*"|[^;,\s]*)')
MOST_RANGES = 50


@dataclass(frozen=True)
class Range:
    """One media range. ``multipart``: wrapped in multipart/related; ``media``: the type of the parts, may hold
    ``*``; ``syntax``: the transfer syntax asked for, "*" for any, "" where none was named."""

    media: str
    multipart: bool
    syntax: str
    q: float

    def covers(self, media: str) -> bool:
        kind, _, _ = self.media.partition("/")
        return self.media in ("*/*", media) or (self.media.endswith("/*") and media.startswith(f"{kind}/"))


@lru_cache(maxsize=256)
def ranges(header: str, default: str = "*/*") -> tuple[Range, ...]:
    """The ranges of an Accept header, best first; those refused with q=0 are left out. Junk is left out."""
    found = [one for part in _PART.findall(header or default)[:MOST_RANGES] if (one := _range(part.strip()))]
    return tuple(sorted((one for one in found if one.q > 0), key=lambda one: -one.q))


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
