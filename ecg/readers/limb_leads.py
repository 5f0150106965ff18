"""The four limb leads that follow from I and II (Einthoven, Goldberger), for files that store only two.

III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2. Exact where I and II are exact: a
half count is representable, so nothing is rounded.
"""
from __future__ import annotations

import numpy as np

DERIVED = ("III", "aVR", "aVL", "aVF")


def with_derived_limb_leads(
    leads: tuple[str, ...], samples_uv: np.ndarray, lsb_uv: tuple[float, ...],
) -> tuple[tuple[str, ...], np.ndarray, tuple[float, ...], tuple[str, ...]]:
    """Leads with III, aVR, aVL and aVF put after II where all four are missing and I and II are there.

    ``samples_uv``: (leads, samples), microvolts. Returns leads, samples, lsb and the notes
    (``("derived:III,aVR,aVL,aVF",)``, or empty where nothing was derived).
    """
    if "I" not in leads or "II" not in leads or any(name in leads for name in DERIVED):
        return leads, samples_uv, lsb_uv, ()
    one, two = samples_uv[leads.index("I")], samples_uv[leads.index("II")]
    derived = np.stack([two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    lsb = min(lsb_uv[leads.index("I")], lsb_uv[leads.index("II")])
    at = leads.index("II") + 1
    return (
        leads[:at] + DERIVED + leads[at:],
        np.concatenate([samples_uv[:at], derived, samples_uv[at:]]),
        lsb_uv[:at] + (lsb, lsb / 2, lsb / 2, lsb / 2) + lsb_uv[at:],
        ("derived:" + ",".join(DERIVED),),
    )
