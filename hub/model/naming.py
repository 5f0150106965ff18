"""How the patient of a study is named in the index, which is how the names in its objects are read ever after."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """``names``: as PatientName has them, the one that counts first: what a person corrected or confirmed, then what was read
    when the study came. Where the bytes of an object can be read as one of them, they are. ``charset``: what its device's texts
    are taken to be where they declare nothing, "" for no opinion."""

    names: tuple[str, ...] = ()
    charset: str = ""


NOTHING_KNOWN = Naming()
