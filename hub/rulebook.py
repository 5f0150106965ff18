"""Rules as data, read once when the hub opens: deadlines, report templates, phrases, the identity of patients."""
from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from hub.model.identity import PlaceholderRules
from hub.model.matching import MatchRules
from hub.model.names import NameRules
from hub.model.order_match import Rules as OrderMatchRules
from hub.model.repair import Attribute, RepairRules
from hub.model.retention import RetentionRules, Rule
from hub.model.urgency import DeadlineRules


@dataclass(frozen=True)
class Template:
    """A prepared report text. ``{heart_rate}`` and its like are filled from measurements; 【】 is for the reader."""

    id: str
    name: str
    modality: str
    body_parts: tuple[str, ...]
    findings: str
    impression: str
    recommendation: str


@dataclass(frozen=True)
class IdentityRules:
    """How names are compared, what agreements weigh, what is no identity, and the words that tell kinds of identifier."""

    names: NameRules
    matching: MatchRules
    placeholders: PlaceholderRules
    kinds: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Rulebook:
    """All rules with the version and source of each."""

    identity: IdentityRules
    deadlines: DeadlineRules
    templates: tuple[Template, ...]
    phrases: tuple[tuple[str, str], ...]
    templates_version: str
    matching: OrderMatchRules
    repairs: RepairRules
    retention: RetentionRules

    def templates_for(self, modality: str, body_part: str) -> tuple[Template, ...]:
        """The templates of a study, the best fitting first; the general one is always among them."""
        def fit(t: Template) -> int:
            if t.modality not in (modality, "*"):
                return 0
            if t.body_parts:
                return 3 if body_part.upper() in t.body_parts else 1
            return 2 if t.modality == modality else 1
        return tuple(sorted((t for t in self.templates if fit(t)), key=fit, reverse=True))

    def phrases_for(self, modality: str) -> tuple[str, ...]:
        return tuple(text for m, text in self.phrases if m in (modality, "*"))


@cache
def load() -> Rulebook:
    """The rules that ship with this version of the hub."""
    deadlines, texts = _toml("deadlines.toml"), _toml("templates.toml")
    return Rulebook(
        _identity(), DeadlineRules(deadlines["version"], deadlines["source"], deadlines["minutes"]),
        tuple(Template(t["id"], t["name"], t["modality"], tuple(t["body_parts"]), t["findings"], t["impression"],
                       t["recommendation"]) for t in texts["template"]),
        tuple((p["modality"], p["text"]) for p in texts["phrase"]), texts["version"], OrderMatchRules(**_toml("order_matching.toml")),
        _repairs(_toml("repairs.toml")), _retention(_toml("retention.toml")))


def _identity() -> IdentityRules:
    rules, readings, surnames, simplified = (_toml(f"{name}.toml") for name in ("identity", "readings", "surnames", "simplified"))
    pairs = zip(simplified["traditional"].replace("\n", ""), simplified["simplified"].replace("\n", ""), strict=True)
    syllables = {character: syllable for syllable, characters in readings["reading"].items() for character in characters}
    held = rules["placeholders"]
    return IdentityRules(
        NameRules(readings["version"], {ord(a): b for a, b in pairs}, syllables,
                  {name: tuple(said) for name, said in surnames["surname"].items()},
                  {character: tuple(said) for character, said in surnames["given"].items()},
                  frozenset(surnames["compound"]["surnames"].split())),
        MatchRules(rules["version"], rules["source"], rules["thresholds"]["suggest"], rules["points"], rules["warnings"]["same_name_years"]),
        PlaceholderRules(frozenset(held["names"]), tuple(held["name_patterns"]), frozenset(held["numbers"]), tuple(held["number_patterns"])),
        {kind: tuple(words) for kind, words in rules["kinds"].items()})


def _repairs(rules: dict) -> RepairRules:
    offered = {one["tag"]: Attribute(**(one | {"codes": tuple(one.get("codes", ()))})) for one in rules["tag"]}
    fixed = {name: frozenset(values) for name, values in rules["fixed"].items()}
    return RepairRules(rules["version"], rules["source"], offered, fixed["groups"], fixed["within"], fixed["vrs"], fixed["tags"])


def _retention(rules: dict) -> RetentionRules:
    return RetentionRules(rules["version"], rules["source"], rules["settle_days"], tuple(Rule(**one) for one in rules["rule"]))


def _toml(name: str) -> dict:
    return tomllib.loads(files("hub.data").joinpath(name).read_text("utf-8"))
