"""What is served here, for programs that ask before they act (PS3.18 8.9, Annex H): WADL, or JSON for whoever takes it.

The promise: the description is made of the routes that answer; none can be forgotten or invented.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from werkzeug.routing import Rule

WADL = "application/vnd.sun.wadl+xml"
JSON = ("application/json", "application/dicom+json")
NAMES = {"s": "study", "e": "series", "i": "instance"}


def resources(rules: Iterable[Rule], prefix: str) -> dict[str, tuple[str, ...]]:
    """Path below the service, with its places in braces, to the methods that it answers; in order."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda place: "{" + NAMES.get(place[1], place[1]) + "}", rule.rule.removeprefix(prefix)) or "/"
        found.setdefault(path, set()).update(rule.methods - {"HEAD", "OPTIONS"})
    return {path: tuple(sorted(methods)) for path, methods in sorted(found.items()) if methods}


def wadl(paths: dict[str, tuple[str, ...]], media: dict[str, list[str]], base: str) -> str:
    """The description as WADL (W3C submission of 2009). ``media``: kind of route to the types that it gives."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<application xmlns="http://wadl.dev.java.net/2009/02">', f"<resources base={quoteattr(base)}>"]
    for path, methods in paths.items():
        lines.append(f"<resource path={quoteattr(path.lstrip('/'))}>")
        for place in re.findall(r"{(\w+)}", path):
            lines.append(f'<param name={quoteattr(place)} style="template" required="true"/>')
        for method in methods:
            types = "".join(f"<representation mediaType={quoteattr(one)}/>" for one in media[kind_of(path, method)])
            body = f"<request>{types}</request>" if method == "POST" else f"<response>{types}</response>"
            lines.append(f"<method name={quoteattr(method)}>{body}</method>")
        lines.append("</resource>")
    return "\n".join([*lines, "</resources>", "</application>", ""])


def kind_of(path: str, method: str) -> str:
    """Which of the service's media types a route gives, or takes."""
    last = path.rpartition("/")[2]
    if method == "POST":
        return "store"
    if last in ("metadata", "rendered", "thumbnail"):
        return {"thumbnail": "rendered"}.get(last, last)
    if "/frames/" in path:
        return "frames"
    if "/bulkdata/" in path:
        return "bulkdata"
    if last in ("{study}", "{series}", "{instance}"):
        return "instances"
    return "search"
