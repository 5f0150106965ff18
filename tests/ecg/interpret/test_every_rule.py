"""Every rule that says something: a heart built to be exactly that raises it. A rule without one is red here."""
import numpy as np
import pytest

from ecg import rulebook
from ecg.analysis import analyse
from ecg.interpret.engine import state
from ecg.interpret.facts import facts_of
from tests.ecg.built_signals import built
from tests.ecg.interpret import constructed as make
from tests.ecg.interpret import hearts
from tests.ecg.interpret.hearts import heart
from tests.ecg.test_broad_rhythms import escape, tachycardia

EARLY = np.r_[0.6, 1.4, 2.2, 3.0, 3.8, 4.32, 5.3, 6.1, 6.9, 7.7, 8.5, 9.3]
BREATHING = np.cumsum([0.6, 0.75, 0.82, 0.92, 1.0, 0.95, 0.85, 0.77, 0.8, 0.9, 0.98])
LOW_T = {"II": [(150, 340, -120)], "I": [(150, 340, 150)]}
FLAT_T = {lead: [(150, 340, 8)] for lead in hearts.WRITTEN}
FRONT_ST = {"V2": 400.0, "V3": 450.0, "V4": 300.0, "II": -90.0, "I": 20.0}
LOW_ST = {"II": 230.0, "I": -60.0}
SHORT_T = {lead: [(90, 230, height) for _, _, height in waves] for lead, waves in hearts.T.items()}
EVERYWHERE = {"I": 130.0, "II": 240.0, "V2": 220.0, "V3": 220.0, "V4": 160.0, "V5": 150.0, "V6": 130.0}
TALL_T = {lead: [(180, 320, 1400)] for lead in ("V2", "V3", "V4")} | {"II": [(180, 320, 200)]}
DEEP_T = {lead: [(150, 340, -700)] for lead in ("V2", "V3", "V4")}
CONCAVE = {"V4": 130.0, "V5": 130.0, "V6": 20.0}
PEAKED = {"V4": [(150, 340, 700)], "V5": [(150, 340, 600)]}

HEARTS = {
    "undetermined": lambda: heart(bpm=75.0, with_p=False),
    "no_signal": lambda: built(qrs_uv=0.0, p_uv=0.0, t_uv=0.0, noise_uv=0.3),
    "vf": make.ventricular_fibrillation,
    "vt_waves": make.ventricular_tachycardia,
    "asystole_p": make.asystole_with_p_waves,
    "asystole": lambda: heart(times=[], noise_uv=14.0),
    "paced": lambda: spiked(),
    "two_sizes": lambda: escape(36.0, 0.12, 100.0, 400.0, 1500.0)[0],
    "wide_tachycardia": lambda: tachycardia(130.0, 0.16, 1000.0, "rounded")[0],
    "vt_run": make.run_of_ventricular_beats,
    "flutter": lambda: hearts.waved(0.21, 200.0, 75.0, t={lead: () for lead in hearts.WRITTEN}),
    "af": make.fibrillation,
    "av3": make.complete_block,
    "slow_without_p": lambda: heart(bpm=42.0, with_p=False, seconds=15.0),
    "av2_high": make.two_to_one_block,
    "av2": make.dropped_beats,
    "svt": make.narrow_tachycardia,
    "sinus_tachycardia": lambda: heart(bpm=115.0),
    "sinus_bradycardia": lambda: heart(bpm=52.0),
    "sinus_rhythm": heart,
    "sinus_arrhythmia": lambda: heart(times=BREATHING),
    "ectopic_atrial": lambda: heart(p={"I": [(-150, -70, 30)], "II": [(-150, -70, -140)]}),
    "junctional": lambda: heart(bpm=48.0, with_p=False),
    "idioventricular": lambda: heart(hearts.LEFT_BLOCK, bpm=40.0, with_p=False, seconds=15.0),
    "bradycardia": make.complete_block,
    "tachycardia": make.fibrillation,
    "pause": make.pause,
    "pvc_frequent": lambda: make.with_ectopic_beats([0.5, 0.5, 0.5], at=(2, 5, 9)),
    "pvc": lambda: make.with_ectopic_beats([0.52, 0.52]),
    "pvc_bigeminy": lambda: make.with_ectopic_beats([0.5] * 5, at=(1, 3, 5, 7, 9)),
    "pvc_multiform": lambda: two_kinds(),
    "r_on_t": lambda: make.with_ectopic_beats([0.30, 0.30]),
    "pac": lambda: heart(times=EARLY),
    "escape": lambda: late_and_wide(),
    "rbbb": lambda: heart(hearts.RIGHT_BLOCK),
    "lbbb": lambda: heart(hearts.LEFT_BLOCK),
    "irbbb": lambda: heart({"V1": [(-40, -12, 250), (-15, 15, -350), (10, 48, 300)]}),
    "ilbbb": lambda: heart(hearts.PART_OF_LEFT),
    "lafb": lambda: heart(hearts.ANTERIOR_FASCICLE),
    "lafb_rbbb": lambda: heart(hearts.BOTH),
    "lafb_possible": lambda: heart(hearts.LESS_LEFT),
    "lpfb": lambda: heart(hearts.POSTERIOR_FASCICLE),
    "preexcitation": lambda: heart(hearts.SLURRED, p={lead: [(-168, -108, 100)] for lead in hearts.WRITTEN}),
    "ivcd": lambda: heart(hearts.SLOW),
    "av1": lambda: heart(p={lead: [(start - 130, stop - 130, height) for start, stop, height in waves] for lead, waves in hearts.P.items()}),
    "short_pr": lambda: heart(p={lead: [(-142, -72, height) for _, _, height in waves] for lead, waves in hearts.P.items()}),
    "axis_left": lambda: heart({"I": [(-35, 35, 900)], "II": [(-35, -4, 180), (-8, 36, -190)], "V6": [(-36, 32, 700)]}),
    "axis_right": lambda: heart({"I": [(-35, -8, 120), (-10, 35, -350)], "II": [(-35, 35, 700)]}),
    "axis_extreme": lambda: heart({"I": [(-35, 35, -500)], "II": [(-35, 35, -600)]}),
    "lvh": lambda: heart(hearts.DEEP, t={"V5": [(150, 340, -200)], "V6": [(150, 340, -250)], "I": [(150, 340, -120)]}),
    "lvh_voltage": lambda: heart(hearts.TALL_LIMB),
    "rvh": lambda: heart(hearts.RIGHT_HEART),
    "lae": lambda: heart(p={**{lead: [(-205, -60, 90)] for lead in hearts.WRITTEN}, "V1": [(-205, -130, 60), (-140, -60, -150)]}),
    "rae": lambda: heart(p={"I": [(-180, -80, 60)], "II": [(-180, -80, 330)], "V1": [(-180, -80, 60)]}),
    "low_voltage": lambda: heart(hearts.SMALL, t=FLAT_T),
    "stemi_inferior": lambda: heart(st=LOW_ST),
    "stemi_anterior": lambda: heart(st=FRONT_ST),
    "stemi_lateral": lambda: heart(st={"I": 220.0, "II": -20.0, "V5": 220.0, "V6": 220.0}),
    "stemi_bundle": make.bundle_branch_with_concordant_elevation,
    "left_main": lambda: heart(st={lead: -180.0 for lead in ("I", "II", "V3", "V4", "V5", "V6")}),
    "posterior": lambda: heart(st={"V1": -150.0, "V2": -220.0, "V3": -180.0}, t={lead: [(150, 340, 700)] for lead in ("V1", "V2", "V3")}),
    "ste": lambda: heart(st={"V5": 140.0, "V6": 130.0}, t={"V5": [(150, 340, 60)], "V6": [(150, 340, 60)]}),
    "ste_slight": lambda: heart(st={"V4": 130.0}),
    "early_repol": lambda: early_repolarization(),
    "pericarditis_like": lambda: heart(st=EVERYWHERE),
    "std_marked": lambda: heart(st={"V4": -180.0, "V5": -200.0, "V6": -170.0}),
    "std": lambda: heart(st={"V5": -75.0, "V6": -75.0}),
    "std_lvh": lambda: heart(hearts.DEEP, st={"V5": -110.0, "V6": -110.0}, t={"V5": [(150, 340, -200)], "V6": [(150, 340, -250)], "I": [(150, 340, -120)]}),
    "wellens": lambda: heart(t=DEEP_T),
    "t_inverted": lambda: heart(t={"V4": [(150, 340, -200)], "V5": [(150, 340, -250)], "V6": [(150, 340, -200)]}),
    "t_flat": lambda: heart(t=FLAT_T),
    "hyperkalaemia": make.hyperkalaemia,
    "t_tall": lambda: heart(t=TALL_T),
    "hypokalaemia": make.hypokalaemia,
    "brugada": lambda: coved(),
    "mi_inferior": lambda: heart(hearts.LOST_LOW, t=LOW_T),
    "q_inferior": lambda: heart({"II": [(-42, -10, -110), (-14, 36, 1300)], "I": [(-35, 35, 300)]}),
    "mi_inferior_acute": lambda: heart(hearts.LOST_LOW, st=LOW_ST),
    "mi_anterior": lambda: heart(hearts.LOST_FRONT),
    "mi_anterior_acute": lambda: heart(hearts.LOST_FRONT, st=FRONT_ST),
    "mi_lateral": lambda: heart(hearts.LOST_SIDE),
    "r_progression": lambda: heart(hearts.LOW_FRONT, age=35.0),
    "long_qt": make.long_qt,
    "long_qt_wide": lambda: heart(hearts.RIGHT_BLOCK, t={lead: [(250, 560, height) for _, _, height in waves] for lead, waves in hearts.T.items()}, bpm=60.0),
    "short_qt": lambda: heart(t=SHORT_T),
    "normal": heart,
    "limited": lambda: built(leads=("II",)),
}


def spiked():
    """Wide beats without P, each behind a spike of 4 ms."""
    made = heart(hearts.LEFT_BLOCK, with_p=False)
    for r in np.arange(0.6, 9.5, 60 / 70):
        at = int((r - 0.053) * 500)
        made.samples_uv[:, at:at + 2] += 1500
    return made


def two_kinds():
    """Two ventricular beats of one shape and two of another."""
    made, other = make.with_ectopic_beats([0.5, 0.5], at=(1, 8)), make.time_axis(12.0)
    for k in (3, 6):
        at = 0.6 + 0.8 * k + 0.5
        quiet = np.abs(other - at - 0.3) < 0.28
        for row, lead in enumerate(made.leads):
            made.samples_uv[row][quiet] = 0.0
            made.samples_uv[row] += make.projection(lead, 100.0) * 1500 * (make.hump(other - at, -0.08, 0.08) - 0.4 * make.hump(other - at, 0.08, 0.36))
    return made


def late_and_wide():
    """A wide beat 1.7 s after the last of a rhythm of 75."""
    times = np.r_[np.arange(0.6, 4.0, 0.8), np.arange(7.5, 11.4, 0.8)]
    made = built(seconds=12.0, r_times=times)
    for row, lead in enumerate(made.leads):
        made.samples_uv[row] += make.wide_beat(make.time_axis(12.0) - 5.6, lead)
    return made


def early_repolarization():
    """Concave elevation in V4-V5 that climbs into a tall T of a tall R."""
    made = heart({"V4": [(-38, 26, 1500)], "V5": [(-38, 26, 1400)]}, t={"V4": [(40, 340, 900)], "V5": [(40, 340, 800)]}, age=28.0)
    time = make.time_axis(10.0)
    for r in np.arange(0.6, 9.5, 60 / 70):
        for lead in ("V4", "V5"):
            t = time - r
            made.samples_uv[made.leads.index(lead)] += 110 * np.clip((t - 0.022) / 0.01, 0, 1) * np.clip((0.3 - t) / 0.1, 0, 1)
    return made


def coved():
    """ST of V1 and V2 that falls from 0.3 mV at J into a turned T."""
    made = heart({"V1": [(-40, -10, 200), (-14, 26, -500)], "V2": [(-40, -8, 300), (-12, 26, -600)]}, t={"V1": [(170, 340, -300)], "V2": [(170, 340, -300)]}, age=38.0)
    time = make.time_axis(10.0)
    for r in np.arange(0.6, 9.5, 60 / 70):
        for lead in ("V1", "V2"):
            t = time - r
            made.samples_uv[made.leads.index(lead)] += 340 * np.clip((t - 0.02) / 0.014, 0, 1) * np.clip((0.2 - t) / 0.16, 0, 1)
    return made


def spoken(recording):
    """Ids of the rules that speak on a recording, and what they say."""
    said, ids = state(facts_of(recording, analyse(recording)), rulebook.rules())
    return ids, [(one.code, one.zh, one.evidence) for one in said]


@pytest.mark.parametrize("rule", [rule.id for rule in rulebook.rules().rules if rule.zh])
def test_a_rule_speaks_on_the_heart_built_for_it(rule):
    assert rule in HEARTS, "a rule without a built heart: build one"
    ids, said = spoken(HEARTS[rule]())
    assert rule in ids, said


def test_no_heart_is_kept_for_a_rule_that_is_gone():
    assert set(HEARTS) == {rule.id for rule in rulebook.rules().rules if rule.zh}


def test_the_normal_heart_is_normal_and_nothing_else():
    ids, said = spoken(heart())
    assert {code for code, _zh, _evidence in said} == {"SR", "NORM"}, said
