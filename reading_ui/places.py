"""Where a form may lead back to: a path of this very site and nothing else. And whether a host is this very machine."""
from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def only_here(host: str) -> bool:
    """Whether a host name means this very machine, so that a device elsewhere cannot use it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_path(there: str) -> str:
    """``there`` if it is a path of this site; "" for another host, a script or a strange character."""
    try:
        parts = urlsplit(there)
    except ValueError:
        return ""
    fine = there.startswith("/") and not there.startswith("//") and not parts.scheme and not parts.netloc
    return there if fine and "\\" not in there and all(ord(ch) >= 32 for ch in there) else ""
