"""ECGs built from shapes whose edges, axes and levels are known by construction."""
import numpy as np

from ecg.recording import STANDARD_LEADS, Recording

LEAD_DIRECTIONS = {"I": 0, "II": 60, "III": 120, "aVR": -150, "aVL": -30, "aVF": 90}
CHEST_QRS = {"V1": -0.6, "V2": -0.3, "V3": 0.3, "V4": 0.9, "V5": 1.1, "V6": 0.9}


def projection(lead, axis_deg):
    """How strongly a frontal vector of this axis shows in a lead (chest leads: a fixed share)."""
    if lead in CHEST_QRS:
        return CHEST_QRS[lead]
    share = np.cos(np.radians(axis_deg - LEAD_DIRECTIONS[lead]))
    return share if lead in ("I", "II", "III") else share * 2 / np.sqrt(3) * 0.75


def hump(time, start, stop):
    """A raised cosine between two times, zero outside."""
    inside = (time > start) & (time < stop)
    return np.where(inside, 0.5 - 0.5 * np.cos(2 * np.pi * (time - start) / (stop - start)), 0.0)


def spike(time, start, stop):
    """A triangle between two times, zero outside."""
    middle, half = (start + stop) / 2, (stop - start) / 2
    return np.clip(1 - np.abs(time - middle) / half, 0, None)


def built(rate=500.0, seconds=10.0, r_times=None, bpm=60.0, p=True, qrs_axis=50.0, p_axis=50.0, t_axis=40.0, st_uv=0.0,
          noise_uv=2.0, qrs_uv=1000.0, p_uv=120.0, t_uv=300.0, leads=STANDARD_LEADS, seed=1,
          pr_s=0.14):
    """A recording with P of 100 ms from ``pr_s`` before the QRS, QRS from -40 to +40 ms and T from +180 to +340 ms around R.

    QRS 80 ms, QT 380 ms. The corners of the triangles are sharper than any heart's, so a
    measured QRS is a little wider than built. ``st_uv`` is added from J to the end of T on every lead.
    """
    time = np.arange(int(round(seconds * rate))) / rate
    if r_times is None:
        r_times = np.arange(0.6, seconds - 0.5, 60.0 / bpm)
    rows = np.zeros((len(leads), len(time)))
    for r in r_times:
        t = time - r
        qrs = spike(t, -0.04, 0.04)
        p_wave, t_wave = hump(t, -0.04 - pr_s, 0.06 - pr_s), hump(t, 0.18, 0.34)
        level = np.where((t >= 0.04) & (t < 0.26), 1.0, 0.0) + np.where(t >= 0.26, hump(t, 0.18, 0.34), 0.0)
        for row, lead in enumerate(leads):
            rows[row] += qrs_uv * projection(lead, qrs_axis) * qrs + t_uv * projection(lead, t_axis) * t_wave + st_uv * level
            if p:
                rows[row] += p_uv * projection(lead, p_axis) * p_wave
    rows += noise_uv * np.random.default_rng(seed).standard_normal(rows.shape)
    return recording(rows, rate, leads)


def recording(rows, rate, leads=STANDARD_LEADS):
    """A Recording of these rows."""
    return Recording("built", tuple(leads), np.asarray(rows, dtype=float), rate, (1.0,) * len(leads))
