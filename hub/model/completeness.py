"""Whether a study has arrived in full, decided from evidence and said with it."""
from __future__ import annotations

from dataclasses import dataclass

GAP_FACTOR = 1.5      # a step longer than this many usual steps is a gap (one missing slice doubles the step)
NEIGHBOURS = 2        # steps on either side that say what is usual
SAME_PLACE_MM = 1e-3
STEP_ZH = {"in_progress": "，设备仍在检查", "discontinued": "，设备报告检查已中止"}
VERDICT_ZH = {"complete": "完整", "likely": "可能完整，设备未声明总数", "incomplete": "不完整"}
STEP_EN = {"in_progress": ", the device is still at work", "discontinued": ", the device broke the examination off"}


@dataclass(frozen=True)
class SeriesEvidence:
    """What is known of one series. ``numbers``: instance numbers seen; ``positions``: (orientation, mm) of the
    slices that have one; ``expected``: how many the sender said there are, None if it is silent. ``unseen``: how many of
    the instances that the device reported to have made (performed procedure step) are not here, None if it is silent."""

    series_uid: str
    description: str
    modality: str
    received: int
    numbers: tuple[int, ...]
    positions: tuple[tuple[str, float], ...]
    expected: int | None
    unseen: int | None = None

    @property
    def told_by(self) -> tuple[str, ...]:
        """Who said how many there are: the "sender" in its images, the "device" in the report of its work."""
        return tuple(who for who, told in (("sender", self.expected), ("device", self.unseen)) if told is not None)

    @property
    def stated(self) -> int | None:
        """How many there are by what the sender and the device said."""
        told = [count for count in (self.expected, self.received + self.unseen if self.unseen is not None else None) if count is not None]
        return max(told, default=None)


@dataclass(frozen=True)
class SeriesProof:
    series_uid: str
    description: str
    received: int
    expected: int | None
    missing_numbers: tuple[int, ...]
    gaps_mm: tuple[tuple[float, float], ...]
    verdict: str      # "complete", "likely", "incomplete"
    told_by: tuple[str, ...] = ()
    doubled: int = 0  # images under an instance number that another image of the series has


@dataclass(frozen=True)
class Proof:
    """The proof sheet of a study. ``verdict``: "complete" (told how many, and all are here), "likely" (no
    evidence that anything is missing) or "incomplete" (evidence that something is)."""

    verdict: str
    received: int
    expected: int | None
    missing: int
    gaps: int
    series: tuple[SeriesProof, ...]
    late: int = 0
    step: str = ""                  # what the device reported of its work: in_progress, completed, discontinued, "" nothing
    promised: int = 0               # instances that the device asked storage commitment for and that are not here
    quiet_s: float | None = None    # how long nothing had come when the study closed, in seconds

    @property
    def zh(self) -> str:
        return self._say("{}/{} 幅", "{} 幅", "，无间断", "，缺 {} 幅", "，有 {} 处间断", "，{} 幅为补传") + STEP_ZH.get(self.step, "")

    @property
    def stamp(self) -> str:
        """What a report says that it is based on: the count, and the verdict in words (312/312 幅，无间断（完整）)."""
        return f"{self.zh}（{VERDICT_ZH[self.verdict]}）"

    @property
    def en(self) -> str:
        return self._say("{} of {}", "{} received", ", no gap", ", {} missing", ", {} gaps", ", {} came late") + STEP_EN.get(self.step, "")

    def _say(self, of, alone, no_gap, missing, gaps, late) -> str:
        is_told = bool(self.expected) and self.received <= self.expected      # more than was announced: 4/3 would say nothing
        text = of.format(self.received, self.expected) if is_told else alone.format(self.received)
        if self.missing:
            text += missing.format(self.missing)
        if self.gaps:
            text += gaps.format(self.gaps)
        if not self.missing and not self.gaps:
            text += no_gap
        return text + (late.format(self.late) if self.late else "")

    def as_json(self) -> dict:
        """Plain types for the study's row and the page."""
        return {"verdict": self.verdict, "received": self.received, "expected": self.expected,
                "missing": self.missing, "gaps": self.gaps, "late": self.late, "step": self.step, "promised": self.promised, "quiet_s": self.quiet_s, "zh": self.zh, "en": self.en,
                "series": [{"series_uid": s.series_uid, "description": s.description, "received": s.received,
                            "expected": s.expected, "missing_numbers": list(s.missing_numbers),
                            "gaps_mm": [list(g) for g in s.gaps_mm], "verdict": s.verdict, "told_by": list(s.told_by), "doubled": s.doubled}
                           for s in self.series]}


def prove(series: list[SeriesEvidence], late: int = 0, step: str = "", promised: int = 0) -> Proof:
    """The proof sheet of a study from the evidence of its series. ``step``: the state of the device's performed procedure step;
    ``promised``: how many instances it asked storage commitment for that are not here."""
    proofs = tuple(_prove_series(one) for one in series)
    received = sum(p.received for p in proofs)
    told = bool(proofs) and all(p.expected is not None for p in proofs)
    expected_from_numbers = _expected_by_numbers(series)
    missing = sum(_missing(p) for p in proofs)
    gaps = sum(len(p.gaps_mm) for p in proofs)
    if promised or any(p.verdict == "incomplete" for p in proofs):
        verdict = "incomplete"
    elif told:
        verdict = "complete"
    else:
        verdict = "likely"
    expected = sum(p.expected for p in proofs) if told else expected_from_numbers
    if promised > missing:            # they may be those that numbers and counts miss: never counted twice
        missing, expected = promised, max(expected or 0, received + promised)
    return Proof(verdict, received, expected, missing, gaps, proofs, late, step, promised)


def _missing(proof: SeriesProof) -> int:
    by_count = max(0, proof.expected - proof.received) if proof.expected is not None else 0
    return max(by_count, len(proof.missing_numbers))


def _expected_by_numbers(series: list[SeriesEvidence]) -> int | None:
    """Numbers that run on without repetition are themselves a count; without them nothing is claimed."""
    total = 0
    for one in series:
        if not one.numbers or len(one.numbers) != one.received or len(set(one.numbers)) != one.received:
            return None
        total += one.received + len(_missing_numbers(one.numbers, 3 * one.received))
    return total or None


def _prove_series(one: SeriesEvidence) -> SeriesProof:
    expected = one.stated
    missing = _missing_numbers(one.numbers)
    if expected is not None:
        missing += _missing_at_the_end(one, missing, expected - one.received - len(missing))
    gaps = _gaps(one.positions)
    short = expected is not None and one.received < expected
    if missing or gaps or short:
        verdict = "incomplete"
    else:
        verdict = "complete" if expected is not None else "likely"
    doubled = len(one.numbers) - len(set(one.numbers))
    return SeriesProof(one.series_uid, one.description, one.received, expected, missing, gaps, verdict, one.told_by, doubled)


def _missing_at_the_end(one: SeriesEvidence, missing: tuple[int, ...], lacking: int, most: int = 200) -> tuple[int, ...]:
    """The numbers after the last seen, where so many more are known to be lacking and the numbers run from 1 without
    repetition: only then is it known which they are, and not merely how many."""
    if lacking <= 0 or not one.numbers or len(set(one.numbers)) != one.received or max(one.numbers) != one.received + len(missing):
        return ()
    last = max(one.numbers)
    return tuple(range(last + 1, last + 1 + lacking))[:most]


def _missing_numbers(numbers: tuple[int, ...], most: int = 200) -> tuple[int, ...]:
    """Numbers absent between 1 (or the first seen, when numbering starts far from 1) and the last seen."""
    if len(numbers) < 2:
        return ()
    seen = set(numbers)
    first, last = min(seen), max(seen)
    start = 1 if 1 < first <= 1 + len(seen) else first
    if last - start + 1 > 3 * len(seen):   # sparse numbering (every tenth, time codes): no evidence
        return ()
    return tuple(n for n in range(start, last + 1) if n not in seen)[:most]


def _gaps(positions: tuple[tuple[str, float], ...]) -> tuple[tuple[float, float], ...]:
    """Places where the step between neighbouring slices of one orientation is too long, in mm."""
    found = []
    for orientation in dict.fromkeys(o for o, _ in positions):
        places = _apart(sorted(mm for o, mm in positions if o == orientation))
        steps = [b - a for a, b in zip(places, places[1:])]
        found += [(a, b) for index, (a, b) in enumerate(zip(places, places[1:]))
                  if len(steps) > 1 and steps[index] > GAP_FACTOR * _usual_step(steps, index)]
    return tuple(found)


def _apart(places: list[float]) -> list[float]:
    """Places without repetitions: two phases of a scan lie at the same ones."""
    return [mm for before, mm in zip([None, *places], places) if before is None or mm - before > SAME_PLACE_MM]


def _usual_step(steps: list[float], index: int) -> float:
    """The step that is usual beside this one. Where it changes (a head scanned finer at its base), the longer counts."""
    beside = (steps[max(0, index - NEIGHBOURS):index], steps[index + 1:index + 1 + NEIGHBOURS])
    return max(min(some) for some in beside if some)
