"""Critical values: which statements and measurements a rule pack wants a person called for.

A pack is data with a version and a source. A rule of it that fits marks the statement it names; a rule on
measurements alone makes a statement of its own. It never silences another statement.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from ..findings import Statement
from .conditions import Condition, all_hold, any_holds
from .facts import Facts


@dataclass(frozen=True)
class CriticalRule:
    """``tier``: 1 calls at once, 2 soon. ``marks``: ids of statement rules that become critical by it; ``beats``: the kind
    of beats to look at where it makes a statement of its own."""

    id: str
    code: str
    tier: int
    zh: str
    en: str
    all: tuple[Condition, ...]
    any: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    marks: tuple[str, ...]
    evidence: tuple[str, ...]
    source: str
    verified: str
    beats: str = ""


@dataclass(frozen=True)
class CriticalPack:
    """A versioned list of critical values; ``tiers``: tier -> name in Chinese."""

    id: str
    version: str
    title_zh: str
    source: str
    verified: str
    tiers: dict[int, str]
    rules: tuple[CriticalRule, ...]


def mark_critical(said: tuple[Statement, ...], spoken: frozenset[str], facts: Facts, pack: CriticalPack) -> tuple[Statement, ...]:
    """The statements with the pack's marks, critical ones first in the order of the pack."""
    marked: dict[str, Statement] = {}
    own: list[Statement] = []
    by_rule = {statement.rule.rpartition("/")[2]: statement for statement in said}
    for rule in pack.rules:
        if all_hold(rule.all, facts.values, spoken) is not True or any_holds(rule.any, facts.values, spoken) is not True:
            continue
        if rule.unless and any_holds(rule.unless, facts.values, spoken) is True:
            continue
        name = f"{pack.id} {pack.version}/{rule.id}"
        words = f"{pack.tiers[rule.tier]}：{rule.zh}"
        wanted = [id for id in rule.marks if id in by_rule]
        for id in wanted:
            before = marked.get(id, by_rule[id])
            evidence = "；".join(text for text in (before.evidence, words) if text)
            marked[id] = replace(before, critical=True, evidence=evidence, rule=before.rule if before.critical else name)
        if not wanted:
            shown = "；".join(text for text in (*map(facts.words, rule.evidence), words) if text)
            own.append(Statement(rule.code, rule.zh, rule.en, shown, (), True, name, facts.beats.get(rule.beats, ())))
    rest = [statement for id, statement in by_rule.items() if id not in marked]
    return (*marked.values(), *own, *rest)
