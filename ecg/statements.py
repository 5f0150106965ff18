"""From what was measured to what is said: facts, rules, critical values. Every statement is unconfirmed."""
from __future__ import annotations

from ecg import rulebook
from ecg.findings import Analysis, Statement
from ecg.interpret.critical import mark_critical
from ecg.interpret.engine import state
from ecg.interpret.facts import facts_of
from ecg.recording import Recording


def interpret(recording: Recording, analysis: Analysis, pack: str = "national") -> tuple[Statement, ...]:
    """The machine's statements on one recording, critical ones first, then rhythm, conduction, shape, summary.

    ``analysis``: what ``analyse`` measured on this recording; ``pack``: the critical values of ``rulebook.PACKS``
    to apply, KeyError where there is no such pack.
    """
    facts = facts_of(recording, analysis)
    said, spoken = state(facts, rulebook.rules())
    return mark_critical(said, spoken, facts, rulebook.pack(pack))
