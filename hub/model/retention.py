"""How long a study is kept: rules as data, and until when a visit keeps it.

The term runs from the patient's last visit, not from the study: whoever comes again keeps all that went before.
Source: 医疗机构病历管理规定 (2013), article 29; the values are in ``hub/data/retention.toml``.
"""
from __future__ import annotations

from dataclasses import dataclass
from datetime import date

# Why a study stays although its term is over: code -> Chinese, English.
STAYS = {
    "not_due": ("保存期未满", "its term is not over"), "unreported": ("报告未完成", "its report is not finished"),
    "on_hold": ("已冻结", "on legal hold"), "in_conflict": ("有隔离或冲突对象待处理", "an object of it is in quarantine or conflict"),
    "damaged": ("有损坏的文件", "a file of it is damaged"), "corrected": ("近期更正过信息", "corrected a short while ago"),
    "unsent": ("报告或通知未送达", "a report or notice of it has not been delivered"), "critical": ("危急值未闭环", "a critical value of it is open"),
    "at_work": ("后台任务未结束", "a job of it has not ended"), "removed": ("已移除", "removed already"),
}


@dataclass(frozen=True)
class Rule:
    """``kind``: image, ecg, or of the quarantine desk and after the decision: discarded, closed (of no study); ``patients``: outpatient or any; ``years`` after the last visit."""

    id: str
    kind: str
    patients: str
    years: int
    zh: str
    en: str

    def kept_until(self, last_visit: date) -> date:
        """The first day on which a study may go."""
        try:
            return last_visit.replace(year=last_visit.year + self.years)
        except ValueError:                                   # the 29th of February
            return date(last_visit.year + self.years, 3, 1)


@dataclass(frozen=True)
class RetentionRules:
    """``settle_days``: how long a corrected study is left alone."""

    version: str
    source: str
    settle_days: int
    rules: tuple[Rule, ...]

    def rule_for(self, kind: str, outpatient: bool) -> Rule | None:
        """The first rule that fits; None for a kind that no rule names, which is kept for good."""
        return next((rule for rule in self.rules if rule.kind == kind and (rule.patients == "any" or outpatient)), None)

    @property
    def shortest_years(self) -> int:
        return min(rule.years for rule in self.rules)
