"""``python -m ecg FILE``: the recording's quality, measurements and statements as a table, and its drawing.

The drawing is written into the current folder as FILE's name with ``.svg`` (``--svg OUT`` elsewhere, ``--svg -`` nowhere;
with ``--json`` only where it is named). Several files are one recording in parts (WFDB's header and samples). Exit status: 0 read, 1 unreadable, 2
wrongly called.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ecg import rulebook
from ecg.analysis import analyse
from ecg.errors import UnreadableRecording
from ecg.files import open_recording
from ecg.findings import Analysis
from ecg.interpret.serial import compare
from ecg.recording import Recording, SourceFile
from ecg.render import SheetHeading, SheetOptions, compose, layout_for, svg
from ecg.statements import interpret

UNCONFIRMED = "机器结论，未经医师确认 (machine statements, unconfirmed)"
VERDICTS = {"good": "信号良好 (good)", "usable": "信号可用 (usable)", "repeat": "建议重做 (record again)"}
PER_LEAD = ("p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "t_amplitude", "st_j", "st_j60")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command with these arguments; prints to standard output, refusals to standard error."""
    options = _parser().parse_args(arguments)
    try:
        recording = _read(options.file, options)
        analysis = analyse(recording)
        if options.pack != "national":
            analysis = _with_pack(recording, analysis, options.pack)
        earlier = _read([options.before], options) if options.before else None
    except UnreadableRecording as error:
        print(f"{error.zh}\n{error.en} [{error.code}]", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"无法打开文件：{error.filename}\ncannot open {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(analysis.as_json(), ensure_ascii=False, indent=1))
    else:
        print("\n".join(_table(recording, analysis)))
        if earlier is not None:
            change = compare((earlier, analyse(earlier)), (recording, analysis))
            print(f"\n{change.zh}\n{change.en}")
    out = options.svg or ("-" if options.json else f"{Path(options.file[0]).name}.svg")
    if out != "-":
        try:
            Path(out).write_text(_drawing(recording, analysis), encoding="utf-8")
        except OSError as error:
            print(f"无法写入图形：{out}\ncannot write the drawing {out}: {error.strerror}", file=sys.stderr)
            return 1
        if not options.json:
            print(f"\n图形 drawing: {out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ecg", description="Read, measure and draw an ECG file of any known format.")
    parser.add_argument("file", nargs="+", help="the file, or the parts of one recording")
    parser.add_argument("--svg", metavar="OUT", help="write the sheet here instead of FILE.svg in this folder; - writes none")
    parser.add_argument("--json", action="store_true", help="print the analysis as JSON")
    parser.add_argument("--before", metavar="FILE", help="an earlier recording of the patient, to compare with")
    parser.add_argument("--pack", choices=sorted(rulebook.PACKS), default="national", help="critical values to apply")
    parser.add_argument("--rate-hz", help="sampling rate of a CSV file")
    parser.add_argument("--unit", help="unit of a CSV file: uV, mV")
    parser.add_argument("--leads", help="leads of a CSV file, joined by commas")
    return parser


def _read(paths: list[str], options: argparse.Namespace) -> Recording:
    declared = {name: getattr(options, name) for name in ("rate_hz", "unit", "leads") if getattr(options, name)}
    return open_recording([SourceFile(Path(path).name, Path(path).read_bytes()) for path in paths], declared)


def _with_pack(recording: Recording, analysis: Analysis, pack: str) -> Analysis:
    return Analysis(analysis.engine, analysis.quality, analysis.measurements, analysis.lead_measurements, analysis.beats,
                    interpret(recording, analysis, pack))


def _table(recording: Recording, analysis: Analysis) -> list[str]:
    lines = [f"{recording.format}  {len(recording.leads)} leads  {recording.rate_hz:g} Hz  {recording.duration_s:.1f} s  {recording.start}".rstrip(),
             f"质量 quality: {VERDICTS[analysis.quality.verdict]}"]
    lines += [f"  {finding.zh} ({finding.en})" for finding in analysis.quality.findings]
    lines.append("")
    for name, one in analysis.measurements.items():
        lines.append(f"{name:<16} {_number(one.value):>8} {one.unit:<5}" + (f" {one.reason}" if one.reason else ""))
    lines += ["", f"{'lead':<6}" + "".join(f"{name:>13}" for name in PER_LEAD) + "   uV"]
    for lead, found in analysis.lead_measurements.items():
        lines.append(f"{lead:<6}" + "".join(f"{_number(found[name].value):>13}" for name in PER_LEAD))
    lines += ["", UNCONFIRMED]
    for statement in analysis.statements:
        mark = "!! " if statement.critical else "   "
        lines.append(f"{mark}{statement.code:<8} {statement.zh} / {statement.en}")
        if statement.evidence:
            lines.append(f"            {statement.evidence}")
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _drawing(recording: Recording, analysis: Analysis) -> str:
    measured = [(label, analysis.measurements[name]) for label, name in
                (("HR", "heart_rate"), ("PR", "pr"), ("QRS", "qrs"), ("QT", "qt"), ("QTcF", "qtc_fridericia"))]
    heading = SheetHeading(
        name=recording.patient.name, sex=recording.patient.sex, patient_id=recording.patient.patient_id,
        recorded_at=recording.start.replace("T", " "),
        measurements=tuple((label, f"{one.value:.0f} {one.unit}") for label, one in measured if one.value is not None),
        statements=tuple(statement.zh for statement in analysis.statements), status="机器结论，未经医师确认")
    return svg(compose(recording, SheetOptions(layout=layout_for(recording.leads)), heading, analysis.quality.leads_off))


if __name__ == "__main__":
    sys.exit(main())
