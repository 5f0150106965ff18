"""Every critical rule of every pack, each on a signal built to be exactly that."""
import numpy as np
import pytest

from ecg import rulebook
from ecg.analysis import analyse
from ecg.statements import interpret
from tests.ecg.built_signals import built
from tests.ecg.interpret import constructed as make
from tests.ecg.interpret import hearts
from tests.ecg.interpret.hearts import heart

STEMI_INFERIOR = {"II": 200.0, "III": 280.0, "aVF": 240.0, "aVL": -160.0, "I": -80.0}
STEMI_ANTERIOR = {"V1": 180.0, "V2": 400.0, "V3": 450.0, "V4": 300.0, "III": -90.0, "aVF": -80.0}
WIDESPREAD = {**dict.fromkeys(("I", "II", "V3", "V4", "V5", "V6", "aVF"), -180.0), "aVR": 180.0}

SIGNALS = {
    "vf": make.ventricular_fibrillation,
    "asystole": make.asystole_with_p_waves,
    "vt_sustained": make.ventricular_tachycardia,
    "vt_run": make.run_of_ventricular_beats,
    "stemi": lambda: make.with_st(STEMI_INFERIOR),
    "posterior": lambda: make.with_st({"V1": -150.0, "V2": -220.0, "V3": -180.0}, t_uv={"V1": 900.0, "V2": 900.0, "V3": 700.0}),
    "left_main": lambda: make.with_st(WIDESPREAD),
    "pause": make.pause,
    "brady": lambda: built(seconds=15.0, bpm=32.0),
    "av_high": make.complete_block,
    "tachy": make.narrow_tachycardia,
    "svt_fast": make.narrow_tachycardia,
    "af_fast": make.fibrillation,
    "hyperkalaemia": make.hyperkalaemia,
    "hypokalaemia": make.hypokalaemia,
    "long_qt": make.long_qt,
    "r_on_t": lambda: make.with_ectopic_beats([0.30, 0.30]),
    "af_preexcited": lambda: make.fibrillation(220.0),
    "r_on_t_long_qt": lambda: on_a_long_t(),
    "wellens": lambda: make.with_st({}, t_uv={"V2": -900.0, "V3": -1000.0, "V4": -1000.0}),
    "vt_slow": lambda: make.run_of_ventricular_beats(5, 125.0),
    "brady_40": lambda: built(seconds=15.0, bpm=38.0),
    "tachy_150": lambda: make.narrow_tachycardia(160.0),
    "av2": make.dropped_beats,
    "pause_2": lambda: make.pause(2.5),
}


def on_a_long_t():
    """Sinus rhythm at 60 with a QT of 560 ms and two ventricular beats on its T waves."""
    times = np.delete(np.arange(0.6, 13.5, 1.0), [4, 9])
    made = heart(t={lead: [(250, 520, height) for _, _, height in waves] for lead, waves in hearts.T.items()}, times=times, seconds=14.0)
    for at in (3.6, 8.6):
        for row, lead in enumerate(made.leads):
            made.samples_uv[row] += make.wide_beat(make.time_axis(14.0) - at - 0.40, lead, 1500.0)
    return made


# As near to each rule as a cardiologist would still not call for.
NEAR = {
    "vf": lambda: trembling(),
    "asystole": lambda: built(qrs_uv=320.0, t_uv=100.0, p_uv=60.0),
    "vt_sustained": lambda: heart(hearts.RIGHT_BLOCK, bpm=108.0),
    "vt_run": lambda: make.run_of_ventricular_beats(5, 130.0),
    "stemi": lambda: make.with_st({"II": 60.0, "III": 70.0, "aVF": 65.0}),
    "posterior": lambda: make.with_st({"V1": -30.0, "V2": -55.0, "V3": -50.0}, t_uv={"V1": 300.0, "V2": 300.0}),
    "left_main": lambda: make.with_st({**dict.fromkeys(("I", "II", "V3", "V4", "V5", "V6", "aVF"), -90.0), "aVR": 55.0}),
    "pause": lambda: make.pause(2.7),
    "brady": lambda: built(seconds=15.0, bpm=37.0),
    "av_high": make.dropped_beats,
    "tachy": lambda: make.narrow_tachycardia(172.0),
    "svt_fast": lambda: make.narrow_tachycardia(172.0),
    "af_fast": lambda: make.fibrillation(150.0),
    "hyperkalaemia": lambda: heart(t={lead: [(180, 320, 1150)] for lead in ("V2", "V3")}),
    "hypokalaemia": lambda: heart(t={lead: [(150, 340, 8)] for lead in hearts.WRITTEN}),
    "long_qt": lambda: make.long_qt(530.0),
    "r_on_t": lambda: make.with_ectopic_beats([0.50, 0.50]),
    "af_preexcited": lambda: make.fibrillation(150.0),
    "r_on_t_long_qt": lambda: make.with_ectopic_beats([0.30, 0.30]),
    "wellens": lambda: heart(t={lead: [(150, 340, -350)] for lead in ("V2", "V3", "V4")}),
    "vt_slow": lambda: make.run_of_ventricular_beats(2, 125.0),
    "brady_40": lambda: built(seconds=15.0, bpm=43.0),
    "tachy_150": lambda: make.narrow_tachycardia(144.0),
    "av2": lambda: heart(p={lead: [(start - 130, stop - 130, height) for start, stop, height in waves] for lead, waves in hearts.P.items()}),
    "pause_2": lambda: make.pause(1.8),
}


def trembling():
    """Sinus rhythm under a tremor of 5 a second in every lead."""
    made = built(bpm=75.0, noise_uv=15.0)
    generator, time = np.random.default_rng(5), make.time_axis(10.0)
    for row in range(len(made.leads)):
        made.samples_uv[row] += 130 * np.sin(2 * np.pi * 5.2 * time + 1.5 * np.sin(2 * np.pi * 0.4 * time) + generator.uniform(0, 6))
    return made


def fired(recording, pack):
    """Ids of the critical rules of a pack that fit, found in rule names and evidence texts."""
    said = interpret(recording, analyse(recording), pack)
    critical = [statement for statement in said if statement.critical]
    texts = " ".join(statement.evidence for statement in critical)
    return {rule.id for rule in rulebook.pack(pack).rules if f"：{rule.zh}" in texts}, said


@pytest.mark.parametrize("pack, rule", [(name, rule.id) for name in rulebook.PACKS for rule in rulebook.pack(name).rules])
def test_a_critical_rule_fires_on_the_signal_built_for_it(pack, rule):
    found, said = fired(SIGNALS[rule](), pack)
    assert rule in found, [(s.code, s.zh, s.evidence) for s in said]


@pytest.mark.parametrize("pack, rule", [(name, rule.id) for name in rulebook.PACKS for rule in rulebook.pack(name).rules])
def test_a_critical_rule_stays_silent_on_what_is_only_near_to_it(pack, rule):
    assert rule in NEAR, "a critical rule without a near miss: build one"
    found, said = fired(NEAR[rule](), pack)
    assert rule not in found, [(s.code, s.zh, s.evidence) for s in said]


def test_no_signal_is_kept_for_a_critical_rule_that_is_gone():
    assert set(SIGNALS) == set(NEAR) == {rule.id for name in rulebook.PACKS for rule in rulebook.pack(name).rules}


@pytest.mark.parametrize("pack", list(rulebook.PACKS))
@pytest.mark.parametrize("quiet", [lambda: built(bpm=72), lambda: built(bpm=62, qrs_axis=20), lambda: built(bpm=88, noise_uv=10)])
def test_a_quiet_sinus_rhythm_is_not_critical(pack, quiet):
    found, said = fired(quiet(), pack)
    assert not found and not any(statement.critical for statement in said)


@pytest.mark.parametrize("levels, code", [(STEMI_INFERIOR, "INJIN"), (STEMI_ANTERIOR, "INJAS"),
                                          ({"I": 180.0, "aVL": 200.0, "V5": 180.0, "V6": 180.0, "III": -150.0, "aVF": -80.0}, "INJLA")])
def test_each_territory_of_st_elevation_is_named_with_its_leads(levels, code):
    said = {statement.code: statement for statement in analyse(make.with_st(levels)).statements}
    assert said[code].critical
    assert set(said[code].leads) <= {lead for lead, level in levels.items() if level > 0}
    assert "mV" in said[code].evidence


def test_elevation_against_a_bundle_branch_block_is_critical():
    said = analyse(make.bundle_branch_with_concordant_elevation()).statements
    codes = {statement.code for statement in said if statement.critical}
    assert "INJBB" in codes, [(s.code, s.zh) for s in said]


def test_two_to_one_block_is_high_grade():
    said = {statement.code: statement for statement in analyse(make.two_to_one_block()).statements}
    assert said["AVBH"].critical


def test_flat_leads_are_not_called_asystole():
    said = analyse(built(qrs_uv=0.0, p_uv=0.0, t_uv=0.0, noise_uv=0.3)).statements
    assert [statement.code for statement in said] == ["NOSIG"]
    assert not said[0].critical


def test_an_unknown_pack_is_refused():
    recording = built()
    with pytest.raises(KeyError):
        interpret(recording, analyse(recording), "nowhere")


def test_every_critical_rule_names_its_source_and_says_that_it_is_not_verified():
    for name in rulebook.PACKS:
        pack = rulebook.pack(name)
        assert pack.version and pack.verified == "unverified against the official text"
        assert all(rule.verified == pack.verified and rule.source and rule.tier in pack.tiers for rule in pack.rules)
