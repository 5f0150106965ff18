"""The ECG rules as data, read once: tables of statements and packs of critical values under ``ecg/data``."""
from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import numpy as np

from ecg.interpret.conditions import Condition, parse
from ecg.interpret.critical import CriticalPack, CriticalRule
from ecg.interpret.engine import Rule, RuleTable, Score
from ecg.measure.electrodes import Usual

TABLES = ("rules_rhythm.toml", "rules_conduction.toml", "rules_shape.toml", "rules_summary.toml")
PACKS = {"national": "critical_national.toml", "shanxi": "critical_shanxi.toml"}


@cache
def rules() -> RuleTable:
    """All statement rules in the order of ``TABLES``. Raises BadCondition for a table that is not in its language."""
    books = [_toml(name) for name in TABLES]
    return RuleTable(f"ecg-rules {books[0]['version']}", tuple(
        Rule(row["id"], row["code"], row["topic"], row["zh"], row["en"], *_conditions(row), tuple(row.get("evidence", ())),
             tuple(row.get("leads", ())), row["source"], row.get("abnormal", True), row.get("beats", ""))
        for book in books for row in book["rule"]), tuple(
        Score(row["id"], tuple(row["terms"].items()), row["source"]) for book in books for row in book.get("score", ())))


@cache
def pack(name: str = "national") -> CriticalPack:
    """One pack of critical values by its name in ``PACKS``. KeyError for a name that is not there."""
    book = _toml(PACKS[name])
    return CriticalPack(name, book["version"], book["title_zh"], book["source"], book["verified"],
                        {int(tier): words for tier, words in book["tiers"].items()},
                        tuple(CriticalRule(row["id"], row["code"], row["tier"], row["zh"], row["en"], *_conditions(row),
                                           tuple(row.get("marks", ())), tuple(row.get("evidence", ())),
                                           row.get("source", book["source"]), row["verified"], row.get("beats", ""))
                              for row in book["rule"]))


@cache
def usual_leads() -> Usual:
    """How the leads of a beat usually lie, for finding exchanged electrodes."""
    book = _toml("electrodes.toml")
    count = len(book["leads"])
    covariance = np.zeros((len(book["part"]), count, count))
    rows, columns = np.tril_indices(count)
    for part, row in enumerate(book["part"]):
        covariance[part, rows, columns] = covariance[part, columns, rows] = row["covariance"]
    return Usual(np.array([row["mean"] for row in book["part"]]), covariance)


def _conditions(row: dict) -> tuple[tuple[Condition, ...], ...]:
    return tuple(tuple(parse(text) for text in row.get(part, ())) for part in ("all", "any", "unless"))


def _toml(name: str) -> dict:
    return tomllib.loads(files("ecg.data").joinpath(name).read_text("utf-8"))
