"""The rule engine: tables of rules and the facts of one recording in, statements out.

Rules are asked in the order of their table, so a rule may build on those before it (``rule:id``). A rule
whose facts are missing stays silent; what could not be judged for want of leads or quality is said in one
statement of its own. A score adds weighted facts to one number that rules may ask for.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..findings import Statement
from .conditions import Condition, all_hold, any_holds
from .facts import Facts


@dataclass(frozen=True)
class Rule:
    """One row of a rule table. It speaks when ``all`` and one of ``any`` hold and none of ``unless``.

    ``topic``: what it belongs to (rhythm, conduction, hypertrophy, infarction, st_t, qt, axis, voltage);
    ``evidence``: names of facts that are shown; ``leads``: where to look, or the name of a group fact in
    braces; ``beats``: the kind of beats to look at, "" for every beat; ``source``: where its thresholds come from;
    ``abnormal``: it rules out a normal ECG.
    """

    id: str
    code: str
    topic: str
    zh: str
    en: str
    all: tuple[Condition, ...]
    any: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    evidence: tuple[str, ...]
    leads: tuple[str, ...]
    source: str
    abnormal: bool = True
    beats: str = ""


@dataclass(frozen=True)
class Score:
    """A weighted sum of facts under the name ``id``, unknown where one of them is; ``source``: where the weights come from."""

    id: str
    terms: tuple[tuple[str, float], ...]
    source: str

    def of(self, values: Mapping[str, float | None]) -> float | None:
        """The sum on these facts."""
        parts = [(weight, values[name]) for name, weight in self.terms]
        return None if any(value is None for _, value in parts) else sum(weight * value for weight, value in parts)


@dataclass(frozen=True)
class RuleTable:
    """All rules in the order in which they are asked; ``version`` is named in every statement."""

    version: str
    rules: tuple[Rule, ...]
    scores: tuple[Score, ...] = ()


def state(facts: Facts, table: RuleTable) -> tuple[tuple[Statement, ...], frozenset[str]]:
    """The statements that the rules make of these facts, and the ids of the rules that spoke."""
    spoken: dict[str, Rule] = {}
    said: list[Statement] = []
    values = dict(facts.values, abnormal=0.0)
    values.update({score.id: score.of(facts.values) for score in table.scores})
    for rule in table.rules:
        if rule.topic in facts.withheld:
            continue
        if all_hold(rule.all, values, spoken) is not True or any_holds(rule.any, values, spoken) is not True:
            continue
        if rule.unless and any_holds(rule.unless, values, spoken) is True:
            continue
        spoken[rule.id] = rule
        values["abnormal"] = max(values["abnormal"], float(rule.abnormal))
        if rule.zh:
            said.append(_statement(rule, facts, table.version))
    return tuple(said), frozenset(spoken)


def _statement(rule: Rule, facts: Facts, version: str) -> Statement:
    leads: list[str] = []
    for lead in rule.leads:
        leads += facts.leads.get(lead[1:-1], ()) if lead.startswith("{") else (lead,)
    present = tuple(dict.fromkeys(lead for lead in leads if lead in facts.recorded))
    texts = (facts.words(name) for name in rule.evidence)
    return Statement(rule.code, rule.zh, rule.en, "；".join(text for text in texts if text), present, False, f"{version}/{rule.id}",
                     facts.beats.get(rule.beats, ()))
