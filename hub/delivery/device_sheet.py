"""The one page that a technician sets a device up by, and signs: what to enter, what is supported, what the check found.

The same facts make the printable page and the PDF (A4, one page, fonts embedded). What devices sent is placed as text,
never as markup.
"""
from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path

import typst

from hub.delivery.typeface import FAMILY, font_folder, legible
from hub.errors import Invalid
from hub.model.checkup import Finding

TOO_LONG = "more than one page"       # what the form says of itself
MOST_FINDINGS = 12       # fit on the page beside the rest; the worst come first
VERDICTS = {"bad": "有问题，须改正", "warn": "可用，建议改进", "info": "可用", "good": "合格", "none": "尚未检查"}


@dataclass(frozen=True)
class DeviceSheet:
    """``enter``: what is set on the device, ``own``: the device's side, ``supported``: what the hub takes; pairs of label and
    value in Chinese. ``checked_at``: local time of the check as words, "" where there was none."""

    institution: str
    title: str
    device: str
    site: str
    printed_at: datetime
    enter: tuple[tuple[str, str], ...]
    own: tuple[tuple[str, str], ...]
    supported: tuple[tuple[str, str], ...]
    verdict: str
    checked_at: str
    findings: tuple[Finding, ...] = ()
    rules: str = ""

    @property
    def shown(self) -> tuple[Finding, ...]:
        return self.findings[:MOST_FINDINGS]

    @property
    def left_out(self) -> int:
        return len(self.findings) - len(self.shown)

    @property
    def verdict_zh(self) -> str:
        return VERDICTS.get(self.verdict, self.verdict)


def render(sheet: DeviceSheet) -> bytes:
    """The sheet as PDF on one page: as many findings as fit, the rest are counted. Invalid ``sheet.typeset`` where it
    cannot be set; Permanent ``letter.font_missing``."""
    for count in range(min(MOST_FINDINGS, len(sheet.findings)), -1, -1):
        words = _legible(asdict(sheet) | {
            "printed_at": sheet.printed_at.strftime("%Y-%m-%d %H:%M"), "findings": [asdict(one) for one in sheet.findings[:count]],
            "left_out": len(sheet.findings) - count, "verdict_zh": sheet.verdict_zh, "family": FAMILY})
        try:
            return _compiled(words, int(sheet.printed_at.timestamp()))
        except typst.TypstError as error:
            if TOO_LONG not in str(error):
                raise Invalid("sheet.typeset", f"连接单无法排版：{error.message}", f"the sheet could not be typeset: {error.message}") from error
    raise Invalid("sheet.typeset", "连接单内容过长，无法排在一页内。", "the sheet does not fit on one page.")


def _compiled(words: dict, timestamp: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="sheet-") as folder:
        source = Path(folder) / "device_sheet.typ"
        source.write_bytes(resources.files("hub.delivery").joinpath("device_sheet.typ").read_bytes())
        return typst.compile(
            str(source), root=folder, format="pdf", pdf_standards=["a-2b"],
            font_paths=typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font_folder())]),
            sys_inputs={"sheet": json.dumps(words, ensure_ascii=True)}, timestamp=timestamp)


def _legible(value):
    """Every text inside, without characters that the typeface cannot draw."""
    if isinstance(value, str):
        return legible(value).text
    if isinstance(value, dict):
        return {name: _legible(one) for name, one in value.items()}
    return [_legible(one) for one in value] if isinstance(value, (list, tuple)) else value
