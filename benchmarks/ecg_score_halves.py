"""Do the fitted limits hold for patients they were not fitted on? Weights and limit from one half, counted on the other.

The patients of PTB-XL are cut into two halves by their number. On each half the weights of a score of the rule tables
are fitted anew (logistic, ridge) and its limit set at 95 % specificity; what that finds on the other half is counted.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.ecg_labelled import Labelled
from benchmarks.ecg_records import wilson
from ecg import rulebook
from ecg.interpret.facts import Facts

SCORES = (("anterior_score", "anterior MI"), ("inferior_score", "inferior MI"))
NOT_ASKED = {"CLBBB", "PACE", "WPW"}          # where the rules that use the scores stay silent
RIDGE, ROUNDS, SPECIFICITY = 5.0, 50, 0.95


@dataclass(frozen=True)
class Judged:
    """One record with the facts measured on it and the codes said of it."""

    record: Labelled
    facts: Facts
    codes: set[str]


def written(judged: list[Judged]) -> list[str]:
    """The table as lines of Markdown."""
    lines = ["## Fitted on one half of the patients, counted on the other", "",
             "| score | half | with / without | sensitivity | specificity |", "|---|---|---|---|---|"]
    for score, label in SCORES:
        for sure in (False, True):
            rows = [one for one in judged if label in one.record.judged and not (sure and label in one.record.doubtful)]
            for half in (0, 1):
                lines.append(f"| {label}{', surely' if sure else ''} | {'odd' if half else 'even'} | {_other_half(rows, score, label, half)} |")
    return lines + ["", "The weights in the tables are those of all development records, rounded. PR, QRS and ST limits are published ones,",
                    "moved by the width that averaging over leads adds.", ""]


def _other_half(rows: list[Judged], score: str, label: str, half: int) -> str:
    terms = [name for name, _ in next(one for one in rulebook.rules().scores if one.id == score).terms]
    known = [one for one in rows if all(one.facts.values[name] is not None for name in terms) and not one.codes & NOT_ASKED]
    facts = np.array([[one.facts.values[name] for name in terms] + [1.0] for one in known])
    labelled = np.array([label in one.record.labels for one in known])
    there = np.array([int(float(one.record.patient)) % 2 == half for one in known])
    weights = _fitted(facts[~there], labelled[~there])
    limit = np.quantile(facts[~there & ~labelled] @ weights, SPECIFICITY)
    stated = facts[there] @ weights > limit
    truth = labelled[there]
    silent = sum(label in one.record.labels for one in rows if int(float(one.record.patient)) % 2 == half) - int(truth.sum())
    with_label, without = int(truth.sum()) + silent, int((~truth).sum())
    return (f"{with_label} / {without} | {wilson(int((stated & truth).sum()), with_label)} | {wilson(int((~stated & ~truth).sum()), without)}")


def _fitted(facts: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Logistic weights with a ridge on all but the last column, by Newton's method."""
    weights, ridge = np.zeros(facts.shape[1]), np.diag([RIDGE] * (facts.shape[1] - 1) + [1e-6])
    for _ in range(ROUNDS):
        chance = 1.0 / (1.0 + np.exp(-facts @ weights))
        slope = facts.T @ (chance - labelled) + ridge @ weights
        bend = (facts.T * (chance * (1 - chance))) @ facts + ridge
        weights = weights - np.linalg.solve(bend, slope)
    return weights
