"""The device doctor for ECG carts: what a cart's last recordings say, and what a technician can do about it.

``examine`` reads and judges; it changes nothing. Words and limits stand in data/doctor.toml.
"""
from __future__ import annotations

import logging
import tomllib
from collections import Counter
from datetime import datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np

from ecg.errors import UnreadableRecording
from ecg.jobs import beginning_of, recording_of
from ecg.recording import STANDARD_LEADS, Recording
from hub.context import Hub
from hub.errors import HubError
from hub.flow import checkups
from hub.flow.checkups import Evidence
from hub.model.access import Actor
from hub.model.checkup import Book, Checkup, Finding, book_of, checkup, judge_clock

MOST_RECORDINGS = 20
LOOKED_AT_S = 60.0
LARGEST_BYTES = 8_000_000     # larger ones (Holter) are left out: a check is a matter of a second

log = logging.getLogger("hub.web")


@cache
def book() -> Book:
    """The rules that ship with this version."""
    return book_of(tomllib.loads(files("ecg.data").joinpath("doctor.toml").read_text("utf-8")))


def examine(hub: Hub, actor: Actor, device_id: int, *, after: int | None = None, call: bool = True) -> Checkup:
    """Everything the hub can tell of a cart. ``after``: of a sample, whose recordings have younger rows than this one.
    ``call`` has no meaning here: carts cannot be called."""
    known, rules = checkups.evidence(hub, actor, device_id, after), book()
    rows = [row for row in known.instances if row.size <= LARGEST_BYTES][-MOST_RECORDINGS:]
    read: list[tuple[object, Recording]] = []
    damaged = 0
    for row in rows:
        try:
            read.append((row, beginning_of(recording_of(hub, row), LOOKED_AT_S)))
        except (UnreadableRecording, HubError, OSError) as error:
            damaged += 1
            log.warning("the doctor cannot read instance %s: %s", row.id, error)
    found = [rules.say("arrival.stored", objects=len(known.instances)) if known.instances else rules.say("arrival.nothing")]
    if damaged:
        found.append(rules.say("arrival.damaged", times=damaged))
    found.append(rules.say("line.address", address=known.device.address) if known.device.address else rules.say("line.any_address"))
    unreadable = sum(one.reason == "unreadable_ecg" for one in known.held)
    for code, times in (("arrival.unreadable", unreadable), ("arrival.conflict", len(known.held) - unreadable)):
        if times:
            found.append(rules.say(code, times=times))
    if read:
        recordings = [recording for _, recording in read]
        found += [*_format(read, rules), judge_clock(_late_s(read, hub.settings.zone), rules, after is not None), *_patient(read, known, rules),
                  *_calibration(recordings, rules), _quality(known, rows, rules)]
    return checkup(found, _seen(recordings if read else []), len(known.instances), rules)


def _format(read: list[tuple[object, Recording]], rules: Book) -> list[Finding]:
    recordings, limits = [recording for _, recording in read], rules.limits
    found = [rules.say("format.ok", formats="、".join(sorted({one.format for one in recordings})))]
    if any(row.declared for row, _ in read):
        found.append(rules.say("format.no_unit"))
    rate = min(one.rate_hz for one in recordings)
    found.append(rules.say("format.rate_low" if rate < limits["least_rate_hz"] else "format.rate_below" if rate < limits["good_rate_hz"] else "format.rate_ok",
                           rate=f"{rate:g}"))
    lacking = Counter(lead for one in recordings for lead in STANDARD_LEADS if lead not in one.leads)
    if lacking:
        found.append(rules.say("format.leads_missing", times=max(lacking.values()), objects=len(recordings), leads="、".join(lacking)))
    else:
        found.append(rules.say("format.leads_ok"))
    short = [one.duration_s for one in recordings if one.duration_s < limits["least_duration_s"]]
    if short:
        found.append(rules.say("format.short", times=len(short), objects=len(recordings), seconds=f"{min(short):.1f}"))
    else:
        found.append(rules.say("format.duration_ok", seconds=f"{min(one.duration_s for one in recordings):.0f}"))
    return found


def _late_s(read: list[tuple[object, Recording]], zone: ZoneInfo) -> list[float]:
    """How long after it began each recording arrived, in seconds, where its file says when it began."""
    late = []
    for row, recording in read:
        try:
            began = datetime.fromisoformat(recording.start)
        except ValueError:
            continue                      # the file does not say
        if "T" in recording.start:
            late.append((row.received_at - began.replace(tzinfo=began.tzinfo or zone)).total_seconds())
    return late


def _patient(read: list[tuple[object, Recording]], known: Evidence, rules: Book) -> list[Finding]:
    """What the file says, or the sender beside it."""
    whole = len(read)
    named = [known.named.get(row.study_id, (False, False)) for row, _ in read]
    found = [rules.say(code, times=times, objects=whole) for code, times in (
        ("patient.no_id", sum(not has_id for has_id, _ in named)), ("patient.no_name", sum(not has_name for _, has_name in named))) if times]
    garbled = sum(_is_garbled(one.patient.name) for _, one in read)
    return [*(found or [rules.say("patient.ok")]), rules.say("text.wrong", times=garbled, objects=whole) if garbled else rules.say("text.ok")]


def _is_garbled(name: str) -> bool:
    """Replacement characters, or runs of the accented letters that Chinese bytes read as Latin-1 turn into."""
    high = [letter for letter in name if "\x80" <= letter <= "\xff"]
    return "\ufffd" in name or len(high) >= 2 and len(high) * 2 >= len(name.replace(" ", ""))


def _calibration(recordings: list[Recording], rules: Book) -> list[Finding]:
    limits, whole, found = rules.limits, len(recordings), []
    sizes_uv = []
    for one in recordings:
        finite = np.where(np.isfinite(one.samples_uv), one.samples_uv, 0.0)
        low, high = np.percentile(finite, (0.1, 99.9), axis=1)      # of each lead: a single spike is no amplitude
        sizes_uv.append(float((high - low).max()))
    small = [size for size in sizes_uv if size < limits["least_amplitude_uv"]]
    large = [size for size in sizes_uv if size > limits["most_amplitude_uv"]]
    for code, which, worst in (("calibration.small", small, max), ("calibration.large", large, max)):
        if which:
            found.append(rules.say(code, times=len(which), objects=whole, mv=f"{worst(which) / 1000:.3g}"))
    if not found:
        found.append(rules.say("calibration.ok", mv=f"{float(np.median(sizes_uv)) / 1000:.2g}"))
    lsb = max(max(one.lsb_uv) for one in recordings)
    if lsb > limits["coarsest_lsb_uv"]:
        found.append(rules.say("calibration.coarse", lsb=f"{lsb:g}"))
    return found


def _quality(known: Evidence, rows: list, rules: Book) -> Finding:
    verdicts = [about["quality"]["verdict"] for row in rows if (about := known.artifacts.get((row.id, "ecg_analysis"))) and about.get("quality")]
    if not verdicts:
        return rules.say("quality.unknown")
    repeats = verdicts.count("repeat")
    return rules.say("quality.repeat" if repeats > rules.limits["most_repeats"] * len(verdicts) else "quality.ok", repeats=repeats, objects=len(verdicts))


def _seen(recordings: list[Recording]) -> list[tuple[str, str, str]]:
    rows = []
    for zh, en, values in (("型号", "model", [f"{one.device.manufacturer} {one.device.model}".strip() for one in recordings]),
                           ("软件版本", "software", [one.device.software for one in recordings]), ("格式", "format", [one.format for one in recordings]),
                           ("采样率", "rate", [f"{one.rate_hz:g} Hz" for one in recordings]), ("滤波", "filters", [one.filters_as_written for one in recordings])):
        common = [value for value, _ in Counter(value for value in values if value).most_common(4)]
        if common:
            rows.append((zh, en, "；".join(common)))
    return rows
