"""What a report says, and when it is fit to leave the reader's hands."""
from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

from hub.errors import Invalid

LONGEST = 20_000


@dataclass(frozen=True)
class ReportContent:
    """The words of a report. ``positive``: True 阳性, False 阴性, None not yet said. ``key_images``: artifact ids."""

    findings: str = ""
    impression: str = ""
    recommendation: str = ""
    positive: bool | None = None
    critical: bool = False
    critical_finding: str = ""
    key_images: tuple[int, ...] = ()
    template_id: str = ""

    @staticmethod
    def from_json(value: dict) -> ReportContent:
        """Reads what a page or the database holds; Invalid on anything else. Nothing is cut silently."""
        if not isinstance(value, dict):
            raise Invalid("bad_report", "报告内容格式有误，请刷新页面后重试。", "the report's content is malformed; reload the page.")
        texts = {}
        for name in ("findings", "impression", "recommendation", "critical_finding", "template_id"):
            text = value.get(name, "")
            if not isinstance(text, str) or len(text) > LONGEST:
                raise Invalid("bad_report", f"报告文字过长（最多 {LONGEST} 字），未保存。", f"a report's text has at most {LONGEST} characters; not saved.")
            texts[name] = "".join(ch for ch in text.replace("\r\n", "\n") if ch in "\n\t" or ord(ch) >= 32)
        positive = value.get("positive")
        if positive not in (True, False, None):
            raise Invalid("bad_report", "阴性/阳性取值有误。", "positive must be true, false or null.")
        keys = value.get("key_images", [])
        if not isinstance(keys, (list, tuple)) or not all(type(k) is int for k in keys) or len(keys) > 12:
            raise Invalid("bad_report", "关键图像最多 12 幅。", "a report has at most 12 key images.")
        return ReportContent(positive=positive, critical=value.get("critical") is True, key_images=tuple(keys), **texts)

    def as_json(self) -> dict:
        return asdict(self) | {"key_images": list(self.key_images)}

    def sha256(self) -> str:
        """A hash of the words, the same for the same words."""
        return hashlib.sha256(json.dumps(self.as_json(), ensure_ascii=False, sort_keys=True).encode()).hexdigest()

    def require_ready(self) -> None:
        """Invalid unless a colleague could act on this report."""
        lacking = [zh for zh, ok in (("检查所见", self.findings.strip()), ("诊断意见", self.impression.strip()),
                                     ("阴性/阳性", self.positive is not None)) if not ok]
        if lacking:
            raise Invalid("report_incomplete", f"报告尚未写完：请填写{'、'.join(lacking)}。",
                          "the report is not finished: findings, impression and positive/negative are needed.")
        if "【】" in self.findings + self.impression + self.recommendation:
            raise Invalid("template_gap", "报告中仍有未填写的【】，请补全后再提交。", "the template still has empty 【】 marks; fill them in first.")
        if self.critical and not self.critical_finding.strip():
            raise Invalid("critical_without_finding", "已标记危急值，请写明危急值内容。", "marked critical: say what the critical finding is.")


FIELDS = tuple(f.name for f in fields(ReportContent))
