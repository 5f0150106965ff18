"""The language of the rule tables: "qrs >= 120", "not paced", "rule:crbbb".

A condition is a fact, an operator and a number; a fact alone is true when it is not zero; ``rule:id`` is true
when that rule has spoken. A fact that could not be measured makes a condition unknown, never false.
"""
from __future__ import annotations

import operator
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}
_FORM = re.compile(r"(not )?(rule:)?([A-Za-z][\w.]*)(?: (>=|<=|==|>|<) (-?\d+(?:\.\d+)?))?")


class BadCondition(ValueError):
    """A rule table says something that is not in its language; the table must be corrected."""


@dataclass(frozen=True)
class Condition:
    """One line of a rule. ``is_rule``: ``name`` is a rule's id and not a fact."""

    name: str
    operator: str = ""
    number: float = 0.0
    negated: bool = False
    is_rule: bool = False

    def holds(self, values: Mapping[str, float | None], spoken: Collection[str]) -> bool | None:
        """True or False, or None where the fact is missing."""
        if self.is_rule:
            return (self.name in spoken) != self.negated
        value = values[self.name]
        if value is None:
            return None
        return (OPERATORS[self.operator](value, self.number) if self.operator else bool(value)) != self.negated


def parse(text: str) -> Condition:
    """One condition from its text. Raises BadCondition with the text that is not understood."""
    match = _FORM.fullmatch(text)
    if match is None or (match[2] and match[4]):
        raise BadCondition(f"not a condition: {text!r}")
    return Condition(match[3], match[4] or "", float(match[5] or 0.0), bool(match[1]), bool(match[2]))


def all_hold(conditions: tuple[Condition, ...], values: Mapping[str, float | None], spoken: Collection[str]) -> bool | None:
    """Whether all hold; one that fails decides, else one that is unknown leaves it open."""
    unknown = False
    for condition in conditions:
        answer = condition.holds(values, spoken)
        if answer is None:
            unknown = True
        elif not answer:
            return False
    return None if unknown else True


def any_holds(conditions: tuple[Condition, ...], values: Mapping[str, float | None], spoken: Collection[str]) -> bool | None:
    """Whether one holds; an empty list asks nothing."""
    unknown = False
    for condition in conditions:
        answer = condition.holds(values, spoken)
        if answer is None:
            unknown = True
        elif answer:
            return True
    return True if not conditions else None if unknown else False
