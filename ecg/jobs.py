"""The worker's door: an ECG study from the hub, its analysis and its drawing back to it.

A study always reaches its reader: a recording that cannot be read or analysed is named in its problems. Of a
long recording the first minutes are measured and the whole is searched for critical rhythms in windows, so that
memory stays bounded, and the problems say so.
"""
from __future__ import annotations

import json
import logging
from dataclasses import replace

from ecg.analysis import analyse
from ecg.errors import UnreadableRecording
from ecg.files import open_recording
from ecg.findings import Analysis
from ecg.heading import heading_of
from ecg.long_recordings import clock, search
from ecg.recording import Recording, SourceFile
from ecg.render import SheetOptions, compose, layout_for, svg
from hub.context import Hub
from hub.errors import Permanent, Retryable
from hub.flow import preparation, repairs
from hub.flow.preparation import CriticalFinding, NewArtifact, Problem

LONGEST_S = 300.0      # of a recording are measured: beyond it memory grows by 12 bytes a sample and lead
UNSURE_SHOWN = 5       # times of poor stretches that are named
QUALITY_ZH = {"good": "信号良好", "usable": "信号可用", "repeat": "建议重做"}
QUALITY_EN = {"good": "good signal", "usable": "usable signal", "repeat": "please repeat"}

log = logging.getLogger("hub.worker")


def prepare_study(hub: Hub, study_id: int, generation: int) -> None:
    """Analyses and draws every recording of a study and makes it ready."""
    rows = preparation.begin(hub, study_id, generation)
    if rows is None:
        return
    whose = preparation.whose(hub, study_id)
    made: list[NewArtifact] = []
    problems: list[Problem] = []
    criticals: list[CriticalFinding] = []
    first: Analysis | None = None
    for row in rows:
        one = _analysed(hub, row, problems)
        if one is None:
            continue
        recording, analysis = one
        first = first or analysis
        made += _artifacts(hub, row, recording, analysis, whose)
        criticals += [CriticalFinding(s.zh, s.rule or s.code) for s in analysis.statements if s.critical]
    preparation.finish(hub, study_id, generation, made, problems, summary=summary_line(first) if first else "",
                       urgency="emergency" if criticals else "routine", flags=_flags(first), criticals=criticals)


def redraw_sheets(hub: Hub, study_id: int) -> None:
    """Draws the sheets of a study again, under the patient as corrected. Earlier drawings stay beside them, for the
    letters that were signed under the earlier heading."""
    ready, rows = preparation.prepared(hub, study_id)
    if not ready:
        raise Retryable("not_prepared_yet", "检查尚在处理，稍后重绘。", "the study is still being prepared; its sheet is drawn again later.")
    whose, place = preparation.whose(hub, study_id), repairs.revision(hub, study_id)
    analyses = {one.instance_id: one for one in preparation.known_artifacts(hub, study_id, ("ecg_analysis",))}
    made = []
    for row in rows:
        if row.id in analyses:
            content = json.loads(hub.blobs.read(analyses[row.id].sha256))
            recording = beginning_of(recording_of(hub, row), LONGEST_S)
            made.append(_sheet(hub, row, recording, content["measurements"], tuple(content["quality"]["leads_off"]), whose, place))
    preparation.add_artifacts(hub, study_id, made)


def beginning_of(recording: Recording, seconds: float) -> Recording:
    """The first ``seconds`` of a longer recording, as a copy that does not hold the rest in memory; a recording that
    is not longer is returned itself."""
    first = _first(recording, seconds)
    return first if first is recording else replace(first, samples_uv=first.samples_uv.copy())


def _first(recording: Recording, seconds: float) -> Recording:
    """The first ``seconds`` of a longer recording, as a view of it."""
    samples = int(seconds * recording.rate_hz)
    if recording.samples_uv.shape[1] <= samples:
        return recording
    return replace(recording, samples_uv=recording.samples_uv[:, :samples])


def recording_of(hub: Hub, row) -> Recording:
    """The recording of one instance, read from its original files."""
    files = [SourceFile(file["name"], hub.blobs.read(file["sha256"])) for file in row.files]
    return open_recording(files, row.declared)


def summary_line(analysis: Analysis, language: str = "zh") -> str:
    """One line for the worklist, in Chinese ("zh") or English ("en"): statements first, then the numbers a reader looks for."""
    english = language == "en"
    words = [statement.en if english else statement.zh for statement in analysis.statements[:3]]
    for name, label, unit in (("heart_rate", "HR" if english else "心率", ""), ("pr", "PR", " ms"), ("qrs", "QRS", " ms"), ("qtc_bazett", "QTc", " ms")):
        one = analysis.measurements.get(name)
        if one is not None and one.value is not None:
            words.append(f"{label} {one.value:.0f}{unit}")
    if analysis.quality.verdict != "good":
        words.append((QUALITY_EN if english else QUALITY_ZH)[analysis.quality.verdict])
    return " · ".join(words)


def _analysed(hub: Hub, row, problems: list[Problem]) -> tuple[Recording, Analysis] | None:
    """The recording (of a long one its beginning, with what the search of the whole found) and its analysis; None, with the problem named, where there is
    none. What may mend by itself (a busy database, a full disk) is left to the next try."""
    try:
        whole = recording_of(hub, row)
        analysis = analyse(_first(whole, LONGEST_S))       # copied when the room of the analysis is free again
        recording = beginning_of(whole, LONGEST_S)
        if recording is not whole:
            analysis = _searched(whole, analysis, row, problems)
        return recording, analysis
    except (UnreadableRecording, Permanent) as error:
        problems.append(Problem(error.code, error.zh, error.en, row.id))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        log.exception("the ECG of instance %s cannot be analysed", row.id)
        problems.append(Problem("not_analysed", "自动分析失败，原始数据完整保留，请人工判读。",
                                f"this ECG could not be analysed ({type(error).__name__}); its bytes are kept.", row.id))
    return None


def _searched(whole: Recording, analysis: Analysis, row, problems: list[Problem]) -> Analysis:
    """The analysis of the beginning with the critical rhythms of the whole recording in front; says what was not searched."""
    found = search(whole)
    minutes, hours, behind = LONGEST_S / 60, whole.duration_s / 3600, found.searched_s / 3600
    zh = f"记录长 {hours:.1f} 小时：波形测量取自前 {minutes:.0f} 分钟，危急心律已逐段搜索前 {behind:.1f} 小时，其余内容请人工判读。"
    en = (f"the recording lasts {hours:.1f} h: waves were measured on its first {minutes:.0f} minutes, critical rhythms searched "
          f"in its first {behind:.1f} h; the rest is to be read by a person.")
    problems.append(Problem("only_the_beginning", zh, en, row.id))
    if found.unsure_s:
        times = "、".join(clock(start_s) for start_s in found.unsure_s[:UNSURE_SHOWN])
        problems.append(Problem("poor_stretches", f"{len(found.unsure_s)} 段信号差，未能判断有无危急心律（{times} 等），请人工判读。",
                                f"in {len(found.unsure_s)} stretches (from {times} ...) the signal is too poor to tell a critical rhythm.", row.id))
    known = {statement.code for statement in analysis.statements if statement.critical}
    return replace(analysis, statements=tuple(one for one in found.statements if one.code not in known) + analysis.statements)


def _artifacts(hub: Hub, row, recording: Recording, analysis: Analysis, whose) -> list[NewArtifact]:
    content = {**analysis.as_json(), "rate_hz": recording.rate_hz}
    facts = {name: content[name] for name in ("engine", "quality", "measurements", "statements")}
    return [
        NewArtifact("ecg_analysis", hub.blobs.keep(json.dumps(content, ensure_ascii=False).encode(), "analysis.json"),
                    "application/json", row.id, 0, facts),
        _sheet(hub, row, recording, content["measurements"], analysis.quality.leads_off, whose, 0),
    ]


def _sheet(hub: Hub, row, recording: Recording, measurements: dict, leads_off: tuple[str, ...], whose, place: int) -> NewArtifact:
    """The drawing for the letter, with the patient whom it names: a letter takes none that names another."""
    sheet = svg(compose(recording, SheetOptions(layout=layout_for(recording.leads)), heading_of(whose, recording.start, measurements), leads_off))
    named = {"patient_name": whose.patient_name, "patient_id": whose.patient_number, "sex": whose.sex, "birth_date": whose.birth_date,
             "age": whose.age, "accession_number": whose.accession_number}
    return NewArtifact("ecg_sheet", hub.blobs.keep(sheet.encode(), "sheet.svg"), "image/svg+xml", row.id, place, named)


def _flags(analysis: Analysis | None) -> dict:
    if analysis is None:
        return {"quality": "unreadable"}
    return {"quality": analysis.quality.verdict, "leads_off": list(analysis.quality.leads_off),
            "summary_en": summary_line(analysis, "en")[:512]}
