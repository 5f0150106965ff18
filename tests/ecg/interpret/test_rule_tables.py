"""The rule tables as data: each rule can be asked, names its source, and speaks both languages."""
import pytest

from ecg import rulebook
from ecg.analysis import analyse
from ecg.interpret.conditions import BadCondition, parse
from ecg.interpret.engine import Score
from ecg.interpret.facts import facts_of
from tests.ecg.built_signals import built


def known_facts():
    recording = built()
    return set(facts_of(recording, analyse(recording)).values) | {"abnormal"} | {score.id for score in rulebook.rules().scores}


def conditions(rule):
    return (*rule.all, *rule.any, *rule.unless)


def test_every_fact_of_every_rule_is_made_somewhere():
    facts = known_facts()
    asked = {one.name for rule in (*rulebook.rules().rules, *rulebook.pack("national").rules, *rulebook.pack("shanxi").rules)
             for one in conditions(rule) if not one.is_rule}
    assert asked <= facts, asked - facts


def test_the_same_facts_are_there_for_every_kind_of_recording():
    facts = known_facts()
    for recording in (built(leads=("II",)), built(leads=("V1", "V5")), built(seconds=1.5, r_times=[0.7]),
                      built(qrs_uv=0.0, p_uv=0.0, t_uv=0.0, noise_uv=0.1), built(rate=250.0)):
        assert set(facts_of(recording, analyse(recording)).values) == facts - {"abnormal"} - {score.id for score in rulebook.rules().scores}


def test_rules_refer_only_to_rules_that_exist():
    ids = {rule.id for rule in rulebook.rules().rules}
    for rule in (*rulebook.rules().rules, *rulebook.pack("national").rules, *rulebook.pack("shanxi").rules):
        assert {one.name for one in conditions(rule) if one.is_rule} <= ids, rule.id
    for name in rulebook.PACKS:
        assert {mark for rule in rulebook.pack(name).rules for mark in rule.marks} <= ids


def test_a_rule_builds_only_on_rules_asked_before_it():
    before = set()
    for rule in rulebook.rules().rules:
        assert {one.name for one in (*rule.all, *rule.any) if one.is_rule} <= before, rule.id
        before.add(rule.id)


def test_every_rule_has_an_id_of_its_own_a_source_and_both_languages():
    rules = rulebook.rules().rules
    assert len({rule.id for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.source and bool(rule.zh) == bool(rule.en), rule.id


@pytest.mark.parametrize("text", ["", "qrs >> 120", "qrs >= wide", "rule:rbbb >= 1", "1 < qrs"])
def test_what_is_not_a_condition_is_refused(text):
    with pytest.raises(BadCondition):
        parse(text)


def test_a_missing_fact_leaves_a_condition_open():
    assert parse("qrs >= 120").holds({"qrs": None}, ()) is None
    assert parse("not paced").holds({"paced": 0.0}, ()) is True
    assert parse("rule:rbbb").holds({}, {"rbbb"}) is True


def test_every_score_adds_facts_that_are_made_and_names_where_its_weights_come_from():
    made = known_facts()
    for score in rulebook.rules().scores:
        assert score.source and {name for name, _ in score.terms} <= made


def test_a_score_is_unknown_where_one_of_its_facts_is():
    score = Score("sum", (("q", 2.0), ("r", -1.0)), "")
    assert score.of({"q": 1.0, "r": 0.5}) == 1.5 and score.of({"q": 1.0, "r": None}) is None
