"""A person name's parts (PS3.5 6.2.1) as people read them."""
from __future__ import annotations


def name_shown(text: str) -> str:
    """A decoded person name for people: the ideographic group where there is one, without carets.

    Chinese characters are joined (张^三 is 张三), other scripts are separated by a blank.
    """
    groups = text.split("=")
    chosen = text if len(groups) == 1 else next((g for g in (groups[1:2] + groups[:1] + groups[2:]) if g.strip(" ^")), "")
    parts = [part.strip() for part in chosen.split("^") if part.strip()]
    joint = "" if parts and all(ord(part[0]) >= 0x2E80 for part in parts) else " "
    return joint.join(parts)
