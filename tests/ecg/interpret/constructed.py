"""ECGs of dangerous rhythms and pictures, built from shapes so that what they are is known by construction."""
import numpy as np

from ecg.recording import STANDARD_LEADS
from tests.ecg.built_signals import built, hump, projection, recording, spike

RATE = 500.0
WIDE_SHARE = {"V1": 1.0, "V2": 0.9, "V3": 0.5, "V4": -0.2, "V5": -0.6, "V6": -0.8}


def time_axis(seconds):
    return np.arange(int(seconds * RATE)) / RATE


def share(lead, axis=-80.0):
    """How a wide ectopic beat shows in a lead."""
    return WIDE_SHARE.get(lead, None) if lead in WIDE_SHARE else projection(lead, axis)


def wide_beat(t, lead, size=1400.0):
    """A ventricular beat: 160 ms of QRS, T against it."""
    return share(lead) * size * (hump(t, -0.08, 0.08) - 0.45 * hump(t, 0.08, 0.38))


def of_rows(make, seconds=10.0, noise_uv=3.0, seed=2):
    time = time_axis(seconds)
    rows = np.array([make(time, lead) for lead in STANDARD_LEADS])
    return recording(rows + noise_uv * np.random.default_rng(seed).standard_normal(rows.shape), RATE)


def ventricular_tachycardia(bpm=180.0):
    times = np.arange(0.3, 9.9, 60.0 / bpm)
    return of_rows(lambda time, lead: sum(share(lead) * 1400 * (hump(time - r, -0.08, 0.08) - 0.5 * hump(time - r, 0.08, 0.24)) for r in times))


def ventricular_fibrillation():
    generator = np.random.default_rng(7)
    time = time_axis(10)
    sources = []
    for _ in range(3):
        phase = 2 * np.pi * np.cumsum(4.8 + 1.2 * np.interp(time, np.arange(0, 11, 0.5), generator.standard_normal(22))) / RATE
        size = 300 + 150 * np.interp(time, np.arange(0, 11, 0.5), generator.standard_normal(22))
        sources.append(size * np.sin(phase + generator.uniform(0, 6)))
    mix = {lead: generator.standard_normal(3) for lead in STANDARD_LEADS}
    return of_rows(lambda _, lead: sum(w * s for w, s in zip(mix[lead], sources)))


def asystole_with_p_waves():
    times = np.arange(0.4, 9.8, 0.8)
    return of_rows(lambda time, lead: sum(90 * projection(lead, 50.0) * hump(time - r, -0.05, 0.05) for r in times), noise_uv=2.0)


def pause(seconds=3.6):
    first = np.arange(0.6, 4.0, 0.8)
    return built(seconds=12.0, r_times=np.r_[first, np.arange(first[-1] + seconds, 11.5, 0.8)])


def complete_block():
    """P waves at 88 a minute, ventricles at 36, neither knowing of the other."""
    ventricles = built(seconds=15.0, r_times=np.arange(0.9, 14.5, 60 / 36.0), p=False)
    time = time_axis(15.0)
    rows = ventricles.samples_uv.copy()
    for at in np.arange(0.37, 14.8, 60 / 88.0):
        for row, lead in enumerate(STANDARD_LEADS):
            rows[row] += 150 * projection(lead, 50.0) * hump(time - at, -0.05, 0.05)
    return recording(rows, RATE)


def two_to_one_block():
    """P waves at 80 a minute, every second one conducted with a PR of 140 ms."""
    beats = np.arange(1.0, 14.3, 1.5)
    ventricles = built(seconds=15.0, r_times=beats)
    time = time_axis(15.0)
    rows = ventricles.samples_uv.copy()
    for at in beats + 0.75 - 0.13:
        for row, lead in enumerate(STANDARD_LEADS):
            rows[row] += 120 * projection(lead, 50.0) * hump(time - at, -0.05, 0.05)
    return recording(rows, RATE)


def with_ectopic_beats(couplings, at=(3, 6), tall=1500.0):
    """Sinus rhythm at 75 with ventricular beats this long (s) after the beats numbered ``at``; the next beat is missing."""
    times = np.arange(0.6, 11.4, 0.8)
    kept = np.delete(times, [k + 1 for k in at])
    base = built(seconds=12.0, r_times=kept)
    time = time_axis(12.0)
    rows = base.samples_uv.copy()
    for k, coupling in zip(at, couplings):
        for row, lead in enumerate(STANDARD_LEADS):
            rows[row] += wide_beat(time - times[k] - coupling, lead, tall)
    return recording(rows, RATE)


def run_of_ventricular_beats(count=5, bpm=170.0):
    times = np.arange(0.6, 11.4, 0.8)
    start = times[4] + 0.45
    end = start + count * 60.0 / bpm + 0.5
    base = built(seconds=12.0, r_times=times[(times < start - 0.2) | (times > end)])
    time = time_axis(12.0)
    rows = base.samples_uv.copy()
    for k in range(count):
        for row, lead in enumerate(STANDARD_LEADS):
            t = time - start - k * 60.0 / bpm
            rows[row] += share(lead) * 1400 * (hump(t, -0.08, 0.08) - 0.4 * hump(t, 0.08, 0.25))
    return recording(rows, RATE)


def with_st(levels_uv, bpm=75.0, t_uv=None):
    """Sinus rhythm with these ST levels: from J to the end of T, returning with it."""
    base = built(seconds=10.0, bpm=bpm)
    time = time_axis(10.0)
    rows = base.samples_uv.copy()
    for r in np.arange(0.6, 9.5, 60.0 / bpm):
        t = time - r
        plateau = np.where((t >= 0.04) & (t < 0.26), 1.0, 0.0) + np.where(t >= 0.26, hump(t, 0.18, 0.34), 0.0)
        rise = np.clip((t - 0.03) / 0.01, 0, 1) * plateau
        for lead, level in levels_uv.items():
            rows[STANDARD_LEADS.index(lead)] += level * rise
        for lead, height in (t_uv or {}).items():
            rows[STANDARD_LEADS.index(lead)] += height * hump(t, 0.18, 0.34)
    return recording(rows, RATE)


def hyperkalaemia():
    """QRS of 160 ms, no P, tall narrow T."""
    times = np.arange(0.6, 9.6, 0.9)
    return of_rows(lambda time, lead: sum(projection(lead, 60.0) * (900 * hump(time - r, -0.08, 0.08) + 1500 * hump(time - r, 0.16, 0.34))
                                          for r in times))


def long_qt(qt_ms=620.0, bpm=60.0):
    end = qt_ms / 1000.0 - 0.04
    base = built(seconds=10.0, bpm=bpm, t_uv=0.0)
    time = time_axis(10.0)
    rows = base.samples_uv.copy()
    for r in np.arange(0.6, 9.5, 60.0 / bpm):
        for row, lead in enumerate(STANDARD_LEADS):
            rows[row] += 350 * projection(lead, 40.0) * hump(time - r, end - 0.24, end)
    return recording(rows, RATE)


def bundle_branch_with_concordant_elevation():
    """Left bundle branch block (QRS 160 ms) in which I, V5 and V6 rise by 0.2 mV at ST."""
    size = {"V1": -1.2, "V2": -1.5, "V3": -1.2, "V4": 0.2, "V5": 0.9, "V6": 1.0}

    def make(time, lead):
        high = size.get(lead, projection(lead, 0.0))
        rows = np.zeros_like(time)
        for r in np.arange(0.6, 9.6, 0.85):
            t = time - r
            rows += 100 * projection(lead, 50.0) * hump(t, -0.24, -0.14)
            rows += 1000 * high * (np.clip((t + 0.08) / 0.05, 0, 1) - np.clip((t - 0.03) / 0.05, 0, 1))
            plateau = np.where((t >= 0.07) & (t < 0.32), 1.0, 0.0) + np.where(t >= 0.32, hump(t, 0.24, 0.40), 0.0)
            rows += (220.0 if lead in ("I", "V5", "V6") else 0.0) * plateau - 250 * high * hump(t, 0.22, 0.40)
        return rows
    return of_rows(make)


def fibrillation(bpm=200.0, seed=5):
    """Irregular ventricles without P waves, with ripples."""
    generator = np.random.default_rng(seed)
    steps = 60.0 / bpm * generator.uniform(0.72, 1.35, 80)
    times = 0.4 + np.cumsum(steps)
    base = built(seconds=12.0, r_times=times[times < 11.5], p=False, t_uv=150.0)
    time = time_axis(12.0)
    ripple = 50 * np.sin(2 * np.pi * 6.1 * time + 2.5 * np.sin(2 * np.pi * 0.63 * time))
    return recording(base.samples_uv + ripple, RATE)


def narrow_tachycardia(bpm=195.0):
    times = np.arange(0.3, 9.8, 60.0 / bpm)
    return of_rows(lambda time, lead: sum(projection(lead, 50.0) * (1000 * spike(time - r, -0.04, 0.04) + 180 * hump(time - r, 0.1, 0.22))
                                          for r in times))


def hypokalaemia():
    """Flat T, sagging ST, a long U."""
    base = built(seconds=10.0, bpm=60.0, t_uv=0.0)
    time = time_axis(10.0)
    rows = base.samples_uv.copy()
    for r in np.arange(0.6, 9.5, 1.0):
        t = time - r
        for row, lead in enumerate(STANDARD_LEADS):
            sign = projection(lead, 40.0)
            rows[row] += sign * (-90 * hump(t, 0.035, 0.36) + 120 * hump(t, 0.40, 0.62))
    return recording(rows, RATE)
