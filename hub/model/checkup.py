"""What the device doctor says: findings with what to do about each, from a book of rules that is data.

A book is a TOML file: ``version``, ``source``, ``limits``, and for each code its level, its sentence and what to do, in
Chinese and English. A check only decides which code holds; every word that a technician reads stands in the book.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass, field

HOUR_S = 3600
LEVELS = ("bad", "warn", "info", "good")       # from the worst to the best


@dataclass(frozen=True)
class Finding:
    """One finding. ``section``: what it is about ("line", "clock" ...); ``todo_zh``, ``todo_en``: "" where nothing is to be done."""

    code: str
    level: str
    zh: str
    en: str
    todo_zh: str = ""
    todo_en: str = ""

    @property
    def section(self) -> str:
        return self.code.partition(".")[0]


@dataclass(frozen=True)
class Checkup:
    """All findings on one device, the worst first, and what was seen of it: (label_zh, label_en, value)."""

    findings: tuple[Finding, ...]
    seen: tuple[tuple[str, str, str], ...] = ()
    objects: int = 0
    rules: str = ""

    @property
    def verdict(self) -> str:
        """The worst level among the findings; "none" where nothing could be judged."""
        if not self.objects and not any(one.level in ("bad", "warn") for one in self.findings):
            return "none"
        return min((one.level for one in self.findings), key=LEVELS.index, default="none")

    def as_json(self) -> dict:
        return {"findings": [asdict(one) for one in self.findings], "seen": [list(row) for row in self.seen], "objects": self.objects, "rules": self.rules}


def of_json(kept: dict) -> Checkup:
    """A checkup as it was kept."""
    return Checkup(tuple(Finding(**one) for one in kept.get("findings", ())), tuple(tuple(row) for row in kept.get("seen", ())),
                   kept.get("objects", 0), kept.get("rules", ""))


@dataclass(frozen=True)
class Book:
    """The rules of one kind of device. ``tables``: whatever else the file holds, such as attributes by modality."""

    version: str
    source: str
    limits: dict[str, float]
    words: dict[str, dict[str, str]]
    tables: dict = field(default_factory=dict)

    def say(self, code: str, **values) -> Finding:
        """The finding of ``code`` with its values in place. KeyError for a code that the book does not have."""
        rule = self.words[code]
        return Finding(code, rule["level"], rule["zh"].format(**values), rule["en"].format(**values),
                       rule.get("todo_zh", "").format(**values), rule.get("todo_en", "").format(**values))

    @property
    def name(self) -> str:
        return f"{self.version} ({self.source})"


def book_of(content: dict) -> Book:
    """The book in a parsed TOML file; a level that does not exist is a ValueError."""
    words = {f"{section}.{code}": rule for section, codes in content["finding"].items() for code, rule in codes.items()}
    for code, rule in words.items():
        if rule["level"] not in LEVELS:
            raise ValueError(f"{code} has no such level: {rule['level']}")
    tables = {name: value for name, value in content.items() if name not in ("version", "source", "limits", "finding")}
    return Book(content["version"], content["source"], content["limits"], words, tables)


def checkup(findings: list[Finding], seen: list[tuple[str, str, str]], objects: int, book: Book) -> Checkup:
    """The findings in the order in which a technician takes them up: the worst first, else as found."""
    return Checkup(tuple(sorted(findings, key=lambda one: LEVELS.index(one.level))), tuple(seen), objects, book.name)


def span(seconds: float) -> tuple[str, str]:
    """A length of time as people say it, in Chinese and English."""
    for size, zh, en in ((86400, "天", "days"), (3600, "小时", "hours"), (60, "分钟", "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {zh}", f"{seconds / size:.0f} {en}"
    return f"{seconds:.0f} 秒", f"{seconds:.0f} s"


def judge_clock(late_s: list[float], rules: Book, watched: bool) -> Finding:
    """``late_s``: for each object the seconds from its making, as its device tells it, to its arrival; the one that came
    soonest says most about the clock. ``watched``: they were made and sent while somebody looks."""
    if not late_s:
        return rules.say("clock.none")
    least, limits = min(late_s), rules.limits
    hours = round(abs(least) / HOUR_S)
    is_whole = 1 <= hours <= 14 and abs(abs(least) - hours * HOUR_S) <= limits["zone_tolerance_s"]
    apart = dict(zip(("span_zh", "span_en"), span(abs(least))))
    if least < -limits["ahead_s"]:
        return rules.say("clock.zone", hours=hours) if is_whole else rules.say("clock.ahead", **apart)
    if least > (limits["behind_s"] if watched else limits["behind_unwatched_s"]):
        return rules.say("clock.zone", hours=hours) if is_whole and watched else rules.say("clock.behind", **apart)
    return rules.say("clock.ok", **apart)
