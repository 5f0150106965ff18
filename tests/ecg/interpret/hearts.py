"""Whole hearts built wave by wave: a normal one, and what each disease changes in it, so that what they are is known by construction.

A wave is (from, to, height): milliseconds from R, microvolts. Limb leads follow from I and II.
"""
import numpy as np

from ecg.recording import STANDARD_LEADS, PatientAsWritten, Recording
from tests.ecg.built_signals import hump, spike

RATE = 500.0
WRITTEN = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
P = {"I": [(-180, -80, 70)], "II": [(-180, -80, 130)], "V1": [(-180, -80, 40)], **{lead: [(-180, -80, 60)] for lead in WRITTEN[3:]}}
QRS = {"I": [(-35, 35, 600)], "II": [(-35, 35, 900)], "V1": [(-40, -6, 200), (-12, 34, -800)], "V2": [(-40, -4, 400), (-10, 36, -1000)],
       "V3": [(-38, 4, 700), (-4, 36, -700)], "V4": [(-38, 12, 1200), (4, 38, -400)], "V5": [(-36, 24, 1100), (16, 40, -150)], "V6": [(-36, 32, 900)]}
T = {"I": [(150, 340, 200)], "II": [(150, 340, 280)], "V1": [(150, 340, -60)], "V2": [(150, 340, 350)], "V3": [(150, 340, 400)],
     "V4": [(150, 340, 380)], "V5": [(150, 340, 320)], "V6": [(150, 340, 240)]}


def heart(qrs=None, t=None, p=None, st=None, bpm=70.0, seconds=10.0, times=None, age=55.0, sex="M", noise_uv=3.0, with_p=True):
    """A recording of twelve leads. ``qrs``, ``t``, ``p``: waves of single leads in place of the normal ones; ``st``: lead -> the
    level from J until the T wave falls."""
    time = np.arange(int(seconds * RATE)) / RATE
    times = np.arange(0.6, seconds - 0.5, 60.0 / bpm) if times is None else times
    rows = {lead: np.zeros_like(time) for lead in WRITTEN}
    for lead, row in rows.items():
        for r in times:
            ms = (time - r) * 1000.0
            for shape, usual, own in ((hump, P if with_p else {}, p), (spike, QRS, qrs), (hump, T, t)):
                for start, stop, height in (own or {}).get(lead, usual.get(lead, ())):
                    row += height * shape(ms, start, stop)
            level = (st or {}).get(lead, 0.0)
            row += level * np.clip((ms - 30) / 12, 0, 1) * np.where(ms < 250, 1.0, np.where(ms < 340, hump(ms, 160, 340), 0.0))
    return _of(rows, age, sex, noise_uv)


def _of(rows, age, sex, noise_uv):
    i, ii = rows["I"], rows["II"]
    made = {**rows, "III": ii - i, "aVR": -(i + ii) / 2, "aVL": i - ii / 2, "aVF": ii - i / 2}
    samples = np.array([made[lead] for lead in STANDARD_LEADS])
    samples += noise_uv * np.random.default_rng(4).standard_normal(samples.shape)
    return Recording("built", STANDARD_LEADS, samples, RATE, (1.0,) * 12, patient=PatientAsWritten(age_years=age, sex=sex))


def waved(period_s, height_uv, bpm, t=None, irregular=0.0):
    """A heart without P over saw-toothed waves of the atria in II, III, aVF and V1."""
    times = np.arange(0.6, 9.6, 60.0 / bpm) + irregular * np.random.default_rng(3).standard_normal(len(np.arange(0.6, 9.6, 60.0 / bpm)))
    made = heart(times=times, with_p=False, t=t)
    time = np.arange(made.samples_uv.shape[1]) / RATE
    saw = 1.0 - 2.0 * ((time / period_s) % 1.0)
    for lead, share in (("II", 1.0), ("III", 1.0), ("aVF", 1.0), ("aVR", -0.5), ("aVL", -0.5), ("V1", 0.6)):
        made.samples_uv[STANDARD_LEADS.index(lead)] += height_uv * share * saw
    return made


# QRS of blocks, hypertrophy and scars: what differs from the normal heart, by the published pictures.
RIGHT_BLOCK = {"I": [(-40, 10, 600), (10, 85, -250)], "V1": [(-40, -12, 250), (-15, 15, -350), (5, 85, 800)], "V2": [(-40, -8, 350), (-12, 20, -500), (10, 80, 500)],
               "V6": [(-40, 15, 800), (10, 85, -300)]}
NOTCHED = [(-45, 35, 0.6), (-10, 80, 1.0)]         # the second summit is the higher
LEFT_BLOCK = {lead: [(start, stop, share * height) for start, stop, share in NOTCHED] for lead, height in
              (("I", 800), ("II", 500), ("V1", -1200), ("V2", -1500), ("V3", -1200), ("V4", 300), ("V5", 900), ("V6", 900))}
PART_OF_LEFT = {lead: [(start, stop - 12, height) for start, stop, height in waves] for lead, waves in LEFT_BLOCK.items()}
ANTERIOR_FASCICLE = {"I": [(-42, -28, -60), (-30, 44, 800)], "II": [(-42, -18, 150), (-22, 44, -500)]}
LESS_LEFT = {"I": [(-42, -28, -60), (-30, 44, 800)], "II": [(-42, -12, 200), (-18, 44, -230)]}
BOTH = {"I": [(-46, -30, -60), (-32, 20, 550), (10, 90, -700)], "II": [(-46, -26, 120), (-30, 90, -800)], "V1": RIGHT_BLOCK["V1"], "V2": RIGHT_BLOCK["V2"],
        "V6": [(-40, 15, 600), (10, 90, -500)]}
SLOW = {lead: [(1.6 * start, 1.6 * stop, height) for start, stop, height in waves] for lead, waves in QRS.items()}
SLOW |= {lead: [(-62, -40, -100), (-44, 56, height)] for lead, height in (("I", 600), ("V5", 1000), ("V6", 900))}
POSTERIOR_FASCICLE = {"I": [(-40, -15, 150), (-18, 40, -500)], "II": [(-40, -24, -30), (-26, 40, 600)]}
SMALL = {lead: [(start, stop, 0.3 * height) for start, stop, height in waves] for lead, waves in QRS.items()}
DEEP = {"V1": [(-38, -10, 150), (-12, 36, -2300)], "V2": [(-38, -8, 250), (-12, 36, -2600)], "V5": [(-38, 30, 2600)], "V6": [(-36, 30, 2300)]}
TALL_LIMB = {"I": [(-35, 38, 1600)], "II": [(-35, 35, 800)]}
RIGHT_HEART = {"I": [(-35, -5, 150), (-8, 36, -600)], "II": [(-35, 35, 500)], "V1": [(-38, 30, 1200)], "V5": [(-36, 0, 400), (-4, 40, -700)], "V6": [(-36, 0, 300), (-4, 40, -700)]}
LOST_FRONT = {"V1": [(-40, 36, -900)], "V2": [(-40, 36, -1200)], "V3": [(-40, 36, -1000)], "V4": [(-40, 0, -400), (-2, 34, 300)]}
LOW_FRONT = {"V1": [(-38, -16, 80), (-18, 36, -900)], "V2": [(-38, -14, 180), (-16, 36, -1000)], "V3": [(-38, -10, 250), (-12, 36, -900)]}
LOST_LOW = {"I": [(-35, 35, 600)], "II": [(-40, 2, -350), (0, 38, 400)]}
LOST_SIDE = {"I": [(-42, 0, -250), (-2, 36, 450)], "V5": [(-42, 0, -350), (-2, 38, 700)], "V6": [(-42, 0, -350), (-2, 36, 600)]}
SLURRED = {lead: [(-75, 5, 0.3 * sum(h for _, _, h in waves)), *waves] for lead, waves in QRS.items()}
