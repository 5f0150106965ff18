"""Clinical rules as data, read once when the hub opens: deadlines, report templates, phrases."""
from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from hub.model.repair import Attribute, RepairRules
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
class Rulebook:
    """All rules with the version and source of each."""

    deadlines: DeadlineRules
    templates: tuple[Template, ...]
    phrases: tuple[tuple[str, str], ...]
    templates_version: str
    repairs: RepairRules

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
        DeadlineRules(deadlines["version"], deadlines["source"], deadlines["minutes"]),
        tuple(Template(t["id"], t["name"], t["modality"], tuple(t["body_parts"]), t["findings"], t["impression"],
                       t["recommendation"]) for t in texts["template"]),
        tuple((p["modality"], p["text"]) for p in texts["phrase"]), texts["version"], _repairs(_toml("repairs.toml")))


def _repairs(rules: dict) -> RepairRules:
    offered = {one["tag"]: Attribute(**(one | {"codes": tuple(one.get("codes", ()))})) for one in rules["tag"]}
    fixed = {name: frozenset(values) for name, values in rules["fixed"].items()}
    return RepairRules(rules["version"], rules["source"], offered, fixed["groups"], fixed["within"], fixed["vrs"], fixed["tags"])


def _toml(name: str) -> dict:
    return tomllib.loads(files("hub.data").joinpath(name).read_text("utf-8"))
