"""How often the statements agree with the labels of PTB-XL and CPSC 2018: sensitivity and specificity, Wilson intervals.

    python benchmarks/ecg_statements.py        prints the table and writes docs/ecg-statements.md

Uses whatever records lie under HUB_TEST_DATA/ecg/ptbxl and cpsc2018. A record counts for a label only where
its database would have given that label. Nothing is chosen here: the rules are those of the package.
"""
from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import ecg_score_halves  # noqa: E402
from benchmarks.ecg_labelled import Labelled, cpsc2018, ptbxl  # noqa: E402
from benchmarks.ecg_records import wilson, wilson_limits  # noqa: E402
from ecg import rulebook  # noqa: E402
from ecg.analysis import analyse  # noqa: E402
from ecg.findings import Analysis  # noqa: E402
from ecg.interpret.facts import facts_of  # noqa: E402
from ecg.statements import interpret  # noqa: E402

OUT = ROOT / "docs" / "ecg-statements.md"
NOTES = ROOT / "benchmarks" / "ecg_statements_notes.md"
ELEVATION = {"INJAS", "INJIN", "INJLA", "INJBB", "INJPS", "STE_", "EREP", "PERI"}
STATED = {
    "AF": {"AFIB"}, "LBBB": {"CLBBB"}, "RBBB": {"CRBBB"}, "1AVB": {"1AVB"}, "PVC": {"PVC"}, "STE/MI": ELEVATION, "LVH": {"LVH"},
    "anterior MI": {"AMI", "INJAS"}, "inferior MI": {"IMI", "INJIN"}, "NORM": {"NORM"}, "PAC": {"PAC"}, "STD": {"STD_", "INJLM", "INJPS"},
    "LAFB": {"LAFB"}, "IRBBB": {"IRBBB"}, "SBRAD": {"SBRAD"}, "STACH": {"STACH"}, "SARRH": {"SARRH"}, "LVOLT": {"LVOLT"},
    "PACE": {"PACE"}, "LNGQT": {"LNGQT"}, "RVH": {"RVH"}, "SR": {"SR", "STACH", "SBRAD"}, "VCLVH": {"VCLVH", "LVH"},
}
BROADER = {("cpsc2018", "RBBB"): {"CRBBB", "IRBBB"}}      # its one label of right bundle branch block includes the incomplete one
SURE = ("LVH", "anterior MI", "inferior MI")
REACH = {"AF": "95 / 99", "LBBB": "95 / 99", "RBBB": "92 / 97", "1AVB": "90 / 97", "PVC": "92 / 98", "STE/MI": "87 / 96",
         "LVH": "62 / 95", "anterior MI": "82 / 95", "inferior MI": "68 / 95"}
REACH.update({f"{label}, {how}": REACH[label] for label in SURE for how in ("surely", "in doubt")})
NAMES = {"STE/MI": "ST elevation or acute infarction", "LVH": "left ventricular hypertrophy", "AF": "atrial fibrillation",
         "1AVB": "first degree AV block", "NORM": "normal ECG"}


@dataclass
class Tally:
    """Counts of one label."""

    with_label: int = 0
    found: int = 0
    without: int = 0
    quiet: int = 0

    def add(self, labelled: bool, stated: bool) -> None:
        self.with_label += labelled
        self.found += labelled and stated
        self.without += not labelled
        self.quiet += not labelled and not stated


@dataclass
class Whole:
    """What was counted over all records; ``seconds``: CPU of analyse() on each; ``wrongly_normal``: labels of records
    that were called normal and are not; ``judged``: facts and labels for the check of the scores on halves."""

    tallies: dict[str, Tally]
    seconds: list[float]
    judged: list[ecg_score_halves.Judged]
    wrongly_normal: list[str]
    critical: int = 0
    critical_normal: int = 0
    alarms: dict[str, tuple[int, list[str]]] = field(default_factory=dict)


def measure() -> Whole:
    """Every record analysed and counted."""
    whole = Whole({label: Tally() for label in (*STATED, *(f"{label}, {how}" for label in SURE for how in ("surely", "in doubt")))}, [], [], [])
    for source in (ptbxl, cpsc2018):
        for one in source():
            begun = time.process_time()
            analysis = analyse(one.recording)
            whole.seconds.append(time.process_time() - begun)
            codes = {statement.code for statement in analysis.statements}
            critical = any(statement.critical for statement in analysis.statements)
            whole.critical += critical
            whole.critical_normal += critical and "NORM" in codes
            if "NORM" in codes and "NORM" in one.judged and "NORM" not in one.labels:
                whole.wrongly_normal.append("+".join(sorted(one.labels - {"SR"})) or "other")
            whole.judged.append(ecg_score_halves.Judged(one, facts_of(one.recording, analysis), codes))
            _count(one, codes, whole.tallies)
            if "NORM" in one.labels:
                _count_alarms(one, analysis, whole.alarms)
    return whole


def _count_alarms(one: Labelled, analysis: Analysis, alarms: dict[str, tuple[int, list[str]]]) -> None:
    """Whether a pack calls a person for an ECG that its database names normal, and for what."""
    for pack in rulebook.PACKS:
        called = sorted({statement.code for statement in interpret(one.recording, analysis, pack) if statement.critical})
        seen, words = alarms.get(pack, (0, []))
        other = "+".join(sorted(one.labels - {"NORM", "SR"}))
        alarms[pack] = (seen + 1, words + ([f"{'+'.join(called)}{f' (labelled {other}, too)' if other else ''}"] if called else []))


def _alarm_lines(alarms: dict[str, tuple[int, list[str]]]) -> list[str]:
    lines = ["## Calls for nothing", "",
             "Records that their database names normal (some with an ectopic beat, too) and for which a pack of critical values calls a person.",
             "Both packs are unverified against their official texts.", "",
             "| pack | normal records | called | per 1,000 | 95 % interval per 1,000 | for |", "|---|---|---|---|---|---|"]
    for pack, (seen, words) in alarms.items():
        low, high = (1000 * limit for limit in wilson_limits(len(words), seen))
        lines.append(f"| {pack} | {seen} | {len(words)} | {1000 * len(words) / seen:.1f} | {low:.1f} to {high:.1f} | {', '.join(words) or 'none'} |")
    return lines + [""]


def _count(one: Labelled, codes: set[str], tallies: dict[str, Tally]) -> None:
    for label, usual in STATED.items():
        if label in one.judged:
            stated = bool(codes & BROADER.get((one.source, label), usual))
            tallies[label].add(label in one.labels, stated)
            if label in SURE:
                how = ("surely", "in doubt") if label not in one.labels else ("in doubt",) if label in one.doubtful else ("surely",)
                for each in how:
                    tallies[f"{label}, {each}"].add(label in one.labels, stated)


def written(whole: Whole) -> str:
    """The document as Markdown."""
    records, seconds = len(whole.seconds), sorted(whole.seconds)
    normal = whole.tallies["NORM"]
    lines = ["# How often the statements agree with the labels", "",
             "Generated by `python benchmarks/ecg_statements.py` on PTB-XL and CPSC 2018 records; rates in percent with 95 % Wilson",
             "intervals. Limits without a published source were chosen on these records, so others will do a little worse: the table of",
             "halves shows by how much.", "",
             "| statement | records with / without | sensitivity | specificity | reach |", "|---|---|---|---|---|"]
    for label, tally in sorted(whole.tallies.items(), key=lambda pair: pair[0] not in REACH):
        if tally.with_label:
            lines.append(f"| {NAMES.get(label, label)} | {tally.with_label} / {tally.without} | {wilson(tally.found, tally.with_label)} "
                         f"| {wilson(tally.quiet, tally.without)} | {REACH.get(label, '')} |")
    return "\n".join(lines + [
        "", f"{records} records; whole analysis with statements: CPU median {1000 * seconds[records // 2]:.0f} ms, fastest tenth "
        f"{1000 * seconds[records // 10]:.0f} ms (a busy machine measures more).",
        f"A critical statement on {whole.critical} records, {whole.critical_normal} of them called normal. Called normal without that label: "
        f"{len(whole.wrongly_normal)} ({', '.join(sorted(whole.wrongly_normal)) or 'none'}).",
        f"Of the records called normal, labelled normal: {wilson(normal.found, normal.found + len(whole.wrongly_normal))} percent.", "",
        *_alarm_lines(whole.alarms),
        *ecg_score_halves.written(whole.judged),
        NOTES.read_text(encoding="utf-8").rstrip(), ""])


def main() -> None:
    """Measures, prints and writes the document."""
    text = written(measure())
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
