"""How well the ECG core detects, delineates and measures, against reference annotations and peers.

    python benchmarks/ecg_accuracy.py                      every part, ours only, writes docs/ecg-accuracy.md
    python benchmarks/ecg_accuracy.py --parts qrs,ludb     some parts, printed only
    python benchmarks/ecg_accuracy.py --peer-python /path/to/python --peers sleepecg,neurokit-pantompkins

Records are read from HUB_TEST_DATA (or ../shared/data); all that are there take part. Definitions are at the
head of each part and are printed with the table.
"""
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import ecg_records as records  # noqa: E402
from ecg.analysis import analyse, delineate_leads  # noqa: E402
from ecg.dsp.qrs import detect_qrs  # noqa: E402
from ecg.recording import Recording  # noqa: E402

NAMES = {"p": (0, 1, 2), "N": (3, 4, 5), "t": (6, 7, 8)}
OURS = "this package"
PEER_RECORDS = 10            # of a peer that needs seconds for each


@dataclass(frozen=True)
class Row:
    """One line of the table: what, on how many, by whom, the figure, and the reach where there is one."""

    measure: str
    records: str
    who: str
    figure: str
    reach: str = ""


def detections(signals: list[records.OneLead], args) -> dict[str, tuple[dict[str, np.ndarray], float]]:
    """Detections of ours and of each peer: who -> (record -> samples, CPU seconds)."""
    start = time.process_time()
    found = {signal.name: detect_qrs(signal.samples_uv, signal.rate_hz) for signal in signals}
    result = {OURS: (found, time.process_time() - start)}
    arrays = {signal.name: signal.samples_uv[0] for signal in signals}
    rates = {signal.name: signal.rate_hz for signal in signals}
    return result | {peer: by_peer(peer, arrays, rates, args) for peer in args.peers}


def by_peer(peer: str, arrays: dict[str, np.ndarray], rates: dict[str, float], args) -> tuple[dict[str, np.ndarray], float]:
    """What a peer finds in one-lead signals, and the CPU seconds that it needs: in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(source, **arrays, **{f"rate:{name}": np.float64(rate) for name, rate in rates.items()})
        subprocess.run([args.peer_python, str(ROOT / "benchmarks" / "ecg_peers.py"), peer, str(source), str(target)], check=True)
        with np.load(target) as loaded:
            return {name: loaded[name] for name in arrays}, float(loaded["cpu_s"])


def counts(signal: records.OneLead, found: np.ndarray) -> tuple[int, int, int]:
    """Matched, reference and found beats outside of ventricular flutter, within 150 ms."""
    reference, ours = records.outside(signal.beats, signal), records.outside(found, signal)
    return records.count_matches(reference, ours, records.TOLERANCE_S * signal.rate_hz), len(reference), len(ours)


def part_qrs(args) -> list[Row]:
    """MIT-BIH channel 0, whole record from the first second, 150 ms, stretches of ventricular flutter left out."""
    signals = [records.load_one_lead("mitdb", name) for name in records.names("mitdb")]
    rows = []
    for who, (found, cpu_s) in detections(signals, args).items():
        each = {signal.name: counts(signal, found[signal.name]) for signal in signals}
        matched, reference, ours = np.sum(list(each.values()), axis=0)
        worst = min(each, key=lambda name: records.f1(*each[name]))
        size = f"{len(signals)}, {reference} beats"
        rows += [Row("QRS F1, MIT-BIH channel 0", size, who, f"{records.f1(matched, reference, ours):.2f}", "99.90"),
                 Row("... sensitivity", size, who, records.wilson(int(matched), int(reference))),
                 Row("... positive predictive value", size, who, records.wilson(int(matched), int(ours))),
                 Row("... worst record", f"record {worst}", who, f"{records.f1(*each[worst]):.2f}", "99.3"),
                 Row("QRS speed, s of one lead per CPU s", size, who,
                     f"{sum(s.samples_uv.shape[1] / s.rate_hz for s in signals) / cpu_s:,.0f}", "15,000")]
    return rows


def part_noise(args) -> list[Row]:
    """MIT-BIH noise stress records by signal-to-noise ratio (the digits after "e"), as in the QRS part."""
    signals = [records.load_one_lead("nstdb", name) for name in records.names("nstdb") if "e" in name and not name.endswith("_6")]
    reach = {"12": "99", "06": "94"}
    rows = []
    for who, (found, _) in detections(signals, args).items():
        groups = defaultdict(list)
        for signal in signals:
            groups[signal.name.split("e")[1]].append(counts(signal, found[signal.name]))
        rows += [Row(f"QRS F1, noise stress {int(key)} dB", f"{len(values)}", who,
                     f"{records.f1(*np.sum(values, axis=0)):.2f}", reach.get(key, ""))
                 for key, values in sorted(groups.items(), reverse=True)]
    return rows


def spread(values, digits: int = 1) -> str:
    return f"{np.mean(values):+.{digits}f} / {np.std(values):.{digits}f}" if len(values) else "-"


def part_ludb(args) -> list[Row]:
    """LUDB, every lead: each annotated wave is matched with the nearest found peak within 150 ms; bias / SD in ms.

    False positives are found waves without a partner between the first and the last annotated QRS.
    """
    errors, tally, silent = defaultdict(list), defaultdict(int), {}
    names = records.names("ludb/data")
    for name in names:
        recording = records.load_recording("ludb/data", name)
        found = delineate_leads(recording.samples_uv, recording.rate_hz)
        annotated = 0
        for row, lead in enumerate(recording.leads):
            reference = records.waves("ludb/data", name, lead.lower())
            annotated += len(reference["p"])
            for code, columns in NAMES.items():
                points = found.points[:, row][:, columns] if found else np.zeros((0, 3))
                _match_waves(reference[code], points, reference["N"][:, 1], recording.rate_hz, code, errors, tally)
        if annotated == 0:
            silent[name] = bool(found is not None and np.isfinite(found.overall[:, 0]).mean() > 0.5)
    size = f"{len(names)}"
    rows = [Row(f"LUDB {label}, bias / SD ms", f"{size}, {len(errors[key])} waves", OURS, spread(errors[key]), reach)
            for label, key, reach in (("P onset", "p0", "SD 14"), ("P end", "p2", "SD 14"), ("QRS onset", "N0", "4 / 8"),
                                      ("QRS end", "N2", "4 / 10"), ("T end", "t2", "SD 20"))]
    rows += [Row(f"LUDB {label} {what}", size, OURS, records.wilson(tally[code, "hit"], tally[code, "hit"] + tally[code, other]), reach)
             for label, code in (("P", "p"), ("QRS", "N"), ("T", "t"))
             for what, other, reach in (("sensitivity", "missed", "98" if code == "t" else ""),
                                        ("PPV", "false", "97" if code == "p" else ""))]
    wrong = sum(silent.values())
    rows.append(Row("P reported where the reference has none", f"{len(silent)}", OURS,
                    f"{wrong} of {len(silent)} ({records.wilson(wrong, len(silent))} %)", "1 in 10"))
    return rows


def _match_waves(reference, found, beats, rate_hz, code, errors, tally) -> None:
    found = found[np.isfinite(found[:, 1])]
    used = set()
    for wave in reference:
        nearest = int(np.abs(found[:, 1] - wave[1]).argmin()) if len(found) else -1
        if nearest < 0 or abs(found[nearest, 1] - wave[1]) > records.TOLERANCE_S * rate_hz:
            tally[code, "missed"] += 1
            continue
        tally[code, "hit"] += 1
        used.add(nearest)
        for edge in (0, 2):
            error = (found[nearest, edge] - wave[edge]) / rate_hz * 1000.0
            if np.isfinite(error):
                errors[f"{code}{edge}"].append(error)
    if len(beats):
        for index, wave in enumerate(found):
            tally[code, "false"] += index not in used and beats.min() <= wave[1] <= beats.max()


def part_global(args) -> list[Row]:
    """LUDB, intervals of the record: analyse() against the median over beats of earliest onset to latest offset over leads.

    The 4 % of records farthest from the median error are removed; mean / SD of the rest in ms.
    """
    errors = defaultdict(list)
    names = records.names("ludb/data")
    for name in names:
        recording = records.load_recording("ludb/data", name)
        measured, truth = analyse(recording).measurements, _global_reference(recording, name)
        for key in ("p", "pr", "qrs", "qt"):
            if measured[key].value is not None and np.isfinite(truth[key]):
                errors[key].append(measured[key].value - truth[key])
    return [Row(f"LUDB global {key.upper()}, 4 % trimmed, mean / SD ms", f"{len(errors[key])}", OURS,
                spread(records.trimmed(errors[key])), reach)
            for key, reach in (("p", "5 / 12"), ("pr", "4 / 8"), ("qrs", "4 / 9"), ("qt", "8 / 15"))]


def _global_reference(recording: Recording, name: str) -> dict[str, float]:
    per_lead = [records.waves("ludb/data", name, lead.lower()) for lead in recording.leads]
    rate = recording.rate_hz
    spans = defaultdict(list)
    for peak in np.median([w["N"][:, 1] for w in per_lead if len(w["N"]) == len(per_lead[1]["N"])], axis=0):
        edges = {}
        for code, low, high in (("p", -0.35, 0.0), ("N", -0.1, 0.1), ("t", 0.05, 0.6)):
            rows = np.concatenate([w[code][(w[code][:, 1] > peak + low * rate) & (w[code][:, 1] < peak + high * rate)] for w in per_lead])
            if len(rows) >= 6:
                edges[code] = (np.nanmin(rows[:, 0]), np.nanmax(rows[:, 2]))
        if "N" in edges:
            spans["qrs"].append(edges["N"][1] - edges["N"][0])
            if "t" in edges:
                spans["qt"].append(edges["t"][1] - edges["N"][0])
            if "p" in edges:
                spans["p"].append(edges["p"][1] - edges["p"][0])
                spans["pr"].append(edges["N"][0] - edges["p"][0])
    return {key: float(np.median(spans[key])) / rate * 1000.0 if len(spans[key]) > 1 else np.nan for key in ("p", "pr", "qrs", "qt")}


def part_qtdb(args) -> list[Row]:
    """QT Database, first expert (q1c): for every wave the better of the two leads; mean over records of bias / SD, ms.

    The peer is ecgpuwave, whose annotations (pu0, pu1) are part of the database, judged in the same way.
    """
    edges = {"P onset": ("p", 0, "13.0"), "P end": ("p", 2, "12.1"), "QRS onset": ("N", 0, "8.5"),
             "QRS end": ("N", 2, "7.9"), "T end": ("t", 2, "21.4")}
    errors = {who: defaultdict(dict) for who in (OURS, "ecgpuwave")}
    names = records.names("qtdb")
    for name in names:
        recording = records.load_recording("qtdb", name)
        reference = records.waves("qtdb", name, "q1c")
        found = delineate_leads(recording.samples_uv, recording.rate_hz)
        leads = {OURS: [{code: found.points[:, row][:, columns] for code, columns in NAMES.items()} for row in range(2)],
                 "ecgpuwave": [records.waves("qtdb", name, extension) for extension in ("pu0", "pu1")]}
        for who, sides in leads.items():
            for label, (code, edge, _) in edges.items():
                errors[who][label][name] = _better_lead(reference[code], [side[code] for side in sides], edge, recording.rate_hz)
    rows = []
    for label, (_, _, peer) in edges.items():
        for who in errors:
            each = [values for values in errors[who][label].values() if len(values) >= 2]
            figure = f"{np.mean([np.mean(v) for v in each]):+.1f} / {np.mean([np.std(v) for v in each]):.1f}"
            rows.append(Row(f"QTDB {label}, bias / SD ms", f"{len(each)}, {sum(map(len, each))} waves", who, figure,
                            f"5 / below {peer}" if who == OURS else ""))
    return rows


def _better_lead(reference, sides, edge, rate_hz) -> np.ndarray:
    kept = []
    for wave in reference:
        if not np.isfinite(wave[edge]):
            continue
        options = []
        for found in sides:
            found = found[np.isfinite(found[:, 1]) & np.isfinite(found[:, edge])]
            if len(found):
                nearest = np.abs(found[:, 1] - wave[1]).argmin()
                if abs(found[nearest, 1] - wave[1]) <= records.TOLERANCE_S * rate_hz:
                    options.append((found[nearest, edge] - wave[edge]) / rate_hz * 1000.0)
        if options:
            kept.append(min(options, key=abs))
    return np.array(kept)


def part_speed(args) -> list[Row]:
    """analyse() on 10 s x 12 leads at 500 Hz, median CPU time of all LUDB records after one warm-up; import in a new process.

    Memory: the most that a new process held (resident, with Python and the recording itself) that analysed a LUDB record
    repeated to 600 s x 12 leads at 500 Hz.
    """
    recordings = [records.load_recording("ludb/data", name) for name in records.names("ludb/data")]
    analyse(recordings[0])
    spent = []
    for recording in recordings:
        start = time.process_time()
        analyse(recording)
        spent.append((time.process_time() - start) * 1000.0)
    code = "import time; s = time.process_time(); import ecg.analysis; print(time.process_time() - s)"
    imported = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                                        cwd=ROOT).stdout) for _ in range(3))
    peers = []
    if any(peer.startswith("neurokit") for peer in args.peers):
        few = recordings[:PEER_RECORDS]
        leads = {f"{number}:{lead}": row for number, one in enumerate(few) for lead, row in zip(one.leads, one.samples_uv)}
        _, cpu_s = by_peer("neurokit-process", leads, dict.fromkeys(leads, few[0].rate_hz), args)
        peers = [Row("Whole pipeline, 10 s x 12 leads, CPU ms", f"{len(few)}", "neurokit ecg_process, each lead", f"{cpu_s / len(few) * 1000:.0f} (mean)")]
    return [Row("Whole pipeline, 10 s x 12 leads, CPU ms", f"{len(spent)}", OURS,
                f"{np.median(spent):.0f} (worst {max(spent):.0f})", "30"), *peers,
            Row("Import of the analysis path, CPU s", "best of 3", OURS, f"{imported:.2f}", "0.5"),
            Row("Analysis of 600 s x 12 leads, memory MB", "1", OURS, f"{_memory_of_long(recordings[0]):.0f}", "150")]


def _memory_of_long(recording: Recording) -> float:
    code = ("import sys, numpy as np; from ecg.analysis import analyse; from ecg.recording import Recording, STANDARD_LEADS; "
            "rows = np.tile(np.frombuffer(sys.stdin.buffer.read()).reshape(12, 5000), 60); "
            "analyse(Recording('built', STANDARD_LEADS, rows, 500.0, (1.0,) * 12)); "
            "print(next(int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')))")      # getrusage counts what its parent held
    first = np.ascontiguousarray(recording.samples_uv[:, :5000], dtype=float)
    return float(subprocess.run([sys.executable, "-c", code], input=first.tobytes(), capture_output=True, check=True, cwd=ROOT).stdout)


def part_electrodes(args) -> list[Row]:
    """LUDB as recorded (taken as right) and with electrodes exchanged by calculation; any finding of that kind counts.

    LUDB took no part in fitting the table of usual leads (PTB-XL and CPSC 2018 did). chest_swap is V2 with V4 unless named.
    """
    swaps = {"arm_reversal": lambda x: np.vstack([[-x[0], x[2], x[1], x[4], x[3], x[5]], x[6:]]),
             "right_arm_left_leg": lambda x: np.vstack([[-x[2], -x[1], -x[0], x[5], x[4], x[3]], x[6:]]),
             "left_arm_left_leg": lambda x: np.vstack([[x[1], x[0], -x[2], x[3], x[5], x[4]], x[6:]]),
             "right_arm_right_leg": lambda x: _limb(x, -x[2], 0.02 * x[1]),
             "chest_swap": lambda x: np.vstack([x[:7], x[9:10], x[8:9], x[7:8], x[10:]]),
             "chest_swap of neighbours V1 V2": lambda x: x[[0, 1, 2, 3, 4, 5, 7, 6, 8, 9, 10, 11]],
             "chest_swap of neighbours V3 V4": lambda x: x[[0, 1, 2, 3, 4, 5, 6, 7, 9, 8, 10, 11]],
             "chest_swap of neighbours V5 V6": lambda x: x[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 10]]}
    caught, suspected, silent = defaultdict(int), defaultdict(int), defaultdict(list)
    names = records.names("ludb/data")
    for name in names:
        recording = records.load_recording("ludb/data", name)
        untouched = analyse(recording)
        for finding in untouched.quality.findings:
            suspected[finding.code] += 1
        for kind, swap in swaps.items():
            code = kind.split(" ")[0]
            changed = Recording("WFDB", recording.leads, swap(recording.samples_uv), recording.rate_hz, recording.lsb_uv)
            hit = any(finding.code == code for finding in analyse(changed).quality.findings)
            caught[kind] += hit
            if untouched.measurements["p"].value is None:
                silent[kind].append(hit)
    rows = [row for kind in swaps for row in (
        Row(f"Electrodes: {kind} found", f"{len(names)}", OURS, records.wilson(caught[kind], len(names)), "90" if kind == "arm_reversal" else ""),
        Row(f"Electrodes: {kind} suspected on untouched records", f"{len(names)}", OURS, records.wilson(suspected[kind], len(names))))
        if " " not in kind or "found" in row.measure]
    hits = silent["arm_reversal"]
    return rows + [Row("Electrodes: arm_reversal found where there is no P", f"{len(hits)}", OURS, records.wilson(sum(hits), len(hits)))]


def _limb(samples: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The recording with other leads I and II, and the four that follow from them; the chest leads stay."""
    third = second - first
    return np.vstack([[first, second, third, -(first + second) / 2, (first - third) / 2, (second + third) / 2], samples[6:]])


def part_labels(args) -> list[Row]:
    """PTB-XL at 500 Hz by its labels: P waves in sinus rhythm (SR) and in fibrillation (AFIB), electrode alarms, and the intervals of NORM.

    Every electrode alarm is counted as false, though some may be true. Medians and 5th to 95th percentiles in ms.
    """
    p_found, normal, alarms, total = defaultdict(list), [], 0, 0
    for path, codes in records.ptbxl_labels():
        analysis = analyse(records.load_recording("ptbxl", path))
        total += 1
        alarms += any(finding.code in ELECTRODES for finding in analysis.quality.findings)
        values = {key: item.value for key, item in analysis.measurements.items()}
        for code in {"SR", "AFIB"} & codes.keys():
            p_found[code].append(values["pr"] is not None)
        if "NORM" in codes:
            normal.append([np.nan if values[key] is None else values[key] for key in ("p", "pr", "qrs", "qtc_fridericia")])
    rows = [Row(f"PTB-XL: P reported in {code}", f"{len(found)}", OURS, records.wilson(sum(found), len(found)))
            for code, found in sorted(p_found.items(), reverse=True)]
    rows.append(Row("PTB-XL: electrode alarm", f"{total}", OURS, records.wilson(alarms, total)))
    for name, column in zip(("P", "PR", "QRS", "QTc Fridericia"), np.array(normal).T):
        low, middle, high = np.nanpercentile(column, (5, 50, 95))
        rows.append(Row(f"PTB-XL NORM: {name}, median (5-95 %)", f"{np.isfinite(column).sum()}", OURS, f"{middle:.0f} ({low:.0f}-{high:.0f})"))
    return rows


ELECTRODES = {"arm_reversal", "right_arm_left_leg", "left_arm_left_leg", "chest_swap", "arms_legs", "left_arm_right_leg", "right_arm_right_leg"}
PARTS = {"qrs": part_qrs, "noise": part_noise, "ludb": part_ludb, "global": part_global, "qtdb": part_qtdb,
         "speed": part_speed, "electrodes": part_electrodes, "labels": part_labels}


def as_markdown(rows: list[Row]) -> str:
    """The document: the table, then the definition of each part."""
    lines = ["# How accurate the ECG core is", "", "Generated by `python benchmarks/ecg_accuracy.py`; rates carry 95 % Wilson intervals.",
             "The records are those on which the parameters were chosen; expect other records to do a little worse.", "",
             "| measure | records | who | figure | reach |", "|---|---|---|---|---|"]
    lines += [f"| {row.measure} | {row.records} | {row.who} | {row.figure} | {row.reach} |" for row in rows]
    lines += ["", "## Definitions", ""]
    for name, part in PARTS.items():
        lines.append(f"- **{name}**: " + " ".join(part.__doc__.split()))
    notes = Path(__file__).with_name("ecg_accuracy_notes.md")
    return "\n".join(lines) + "\n\n" + notes.read_text(encoding="utf-8") if notes.exists() else "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--peers", default="", help="sleepecg, neurokit-pantompkins, wfdb-gqrs, wfdb-xqrs")
    parser.add_argument("--peer-python", default=sys.executable, help="the Python in which the peers are installed")
    args = parser.parse_args()
    args.peers = [peer for peer in args.peers.split(",") if peer]
    rows = []
    for name in args.parts.split(","):
        part = PARTS[name](args)
        rows += part
        for row in part:
            print(f"{row.measure:55s} {row.records:22s} {row.who:22s} {row.figure:28s} {row.reach}", flush=True)
    if args.parts == ",".join(PARTS):
        target = ROOT / "docs" / "ecg-accuracy.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(as_markdown(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
