"""Units of electric potential, as files spell them, in microvolts."""
from __future__ import annotations

_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "nv": 1e-3, "pv": 1e-6}
_SPELLINGS = {"volt": "v", "volts": "v", "millivolt": "mv", "millivolts": "mv", "microvolt": "uv", "microvolts": "uv",
              "nanovolt": "nv", "nanovolts": "nv"}


def microvolts_per(unit: str) -> float | None:
    """How many microvolts one ``unit`` is, or None where the unit is not one of potential.

    Case is ignored (carts write ``mv`` and ``UV``; no ECG is in megavolts), both micro signs are read.
    """
    spelled = unit.strip().strip("\x00").replace("\u00b5", "u").replace("\u03bc", "u").lower()
    return _MICROVOLTS.get(_SPELLINGS.get(spelled, spelled))
