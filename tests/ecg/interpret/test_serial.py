"""Two recordings built to differ in one thing: the comparison names that thing, and nothing else."""
import pytest

from ecg.analysis import analyse
from ecg.interpret.serial import compare
from tests.ecg.built_signals import built
from tests.ecg.interpret.constructed import with_st


def both(recording):
    return recording, analyse(recording)


def test_the_same_heart_on_another_day_has_not_changed():
    found = compare(both(built(seed=1, noise_uv=6)), both(built(seed=2, noise_uv=6)))
    assert not found.changed
    assert "无明显变化" in found.zh and "No significant change" in found.en
    assert min(found.likeness.values()) > 0.95


def test_new_st_elevation_is_named_with_its_leads_and_size():
    found = compare(both(with_st({})), both(with_st({"II": 200.0, "III": 250.0, "aVF": 220.0})))
    assert found.changed
    assert found.st_change_uv["III"] == pytest.approx(250, abs=30)
    assert abs(found.st_change_uv["V5"]) < 30
    assert "ST 段抬高增加" in found.zh and "III" in found.zh and "V5 " not in found.zh.split("；")[0]


def test_a_turned_t_wave_is_named():
    found = compare(both(with_st({})), both(with_st({}, t_uv={"V5": -800.0, "V6": -700.0})))
    assert "T 波方向改变" in found.zh and "V5" in found.zh
    assert found.t_change_uv["V5"] < -600


def test_a_faster_heart_is_named_with_both_rates():
    found = compare(both(built(bpm=60)), both(built(bpm=95)))
    assert "心率 60→95" in found.zh


def test_only_shared_leads_are_compared():
    found = compare(both(built(leads=("II",))), both(built()))
    assert set(found.st_change_uv) == {"II"} and set(found.likeness) == {"II"}


def test_nothing_in_common_is_said():
    found = compare(both(built(leads=("V1",), qrs_uv=0.0, p_uv=0.0, t_uv=0.0, noise_uv=0.2)), both(built(leads=("II",))))
    assert not found.changed and "未作比较" in found.zh
