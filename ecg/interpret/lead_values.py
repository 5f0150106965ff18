"""Lead measurements as plain numbers: absent waves are zero, leads that are off are None."""
from __future__ import annotations

from ..findings import Analysis

BEYOND_ST_UV = 70.0            # a last deflection counts when it stands out of the level at J by this much
TALL_UV = 450.0                # and a tall one always
SOON_UV, SOON_REST = 100.0, 0.35    # a level after J that is gone within 40 ms to this rest is the QRS and no ST segment
GONE_IN_LEADS = 4
NOTHING: dict[str, float | None] = {}
ABSENT = {"no_such_wave", "no_p_wave", "no_t_wave"}


class LeadValues:
    """Read access to the lead measurements of one analysis, in microvolts and milliseconds."""

    def __init__(self, analysis: Analysis):
        self._leads = {lead: {name: one.value if one.value is not None else 0.0 if one.reason in ABSENT else None
                              for name, one in found.items()}
                       for lead, found in analysis.lead_measurements.items()}
        for lead in self._leads.values():
            lead["r2_seen"] = lead.get("r2_amplitude")
            _drop_what_is_st(lead)
        self.qrs_goes_on = sum(_gone_soon(lead) for lead in self._leads.values()) >= GONE_IN_LEADS
        self._st = "st_j60" if self.qrs_goes_on else "st_j20"

    def value(self, lead: str, name: str) -> float | None:
        """A measurement; 0.0 where the wave is absent, None where the lead is missing or off."""
        return self._leads.get(lead, NOTHING).get(name)

    def all_there(self, *leads: str) -> bool:
        """Whether the QRS of all these leads could be measured."""
        return all(self.value(lead, "qrs_peak_to_peak") is not None for lead in leads)

    def r(self, lead: str) -> float:
        """The tallest positive deflection of the QRS, microvolts."""
        return max(self.value(lead, "r_amplitude") or 0.0, self.value(lead, "r2_amplitude") or 0.0)

    def s(self, lead: str) -> float:
        """The depth of the deepest negative deflection after the first R, or of a QS; positive microvolts."""
        after = min(self.value(lead, "s_amplitude") or 0.0, self.value(lead, "s2_amplitude") or 0.0)
        return -(after if self.r(lead) else min(after, self.value(lead, "q_amplitude") or 0.0))

    def q(self, lead: str) -> float:
        """The depth of an initial Q (also of a QS), positive microvolts."""
        return -(self.value(lead, "q_amplitude") or 0.0)

    def q_ms(self, lead: str) -> float:
        """The duration of an initial Q, milliseconds."""
        return self.value(lead, "q_duration") or 0.0

    def is_qs(self, lead: str) -> bool:
        """A QRS without any R."""
        return self.q(lead) > 100.0 and self.r(lead) < 50.0

    def st(self, lead: str, name: str | None = None) -> float:
        """The ST level, microvolts, 20 ms after J, or 60 ms where the QRS goes on beyond J; 0 where it cannot be measured."""
        return self.value(lead, name or self._st) or 0.0

    def t(self, lead: str) -> float:
        """The T amplitude from the level at QRS onset, microvolts."""
        return self.value(lead, "t_amplitude") or 0.0


def _drop_what_is_st(lead: dict[str, float | None]) -> None:
    """A raised or lowered ST segment is not a last R or S: the last deflection must stand out beyond the level at J."""
    level = lead.get("st_j")
    last = next((name for name in ("s2", "r2", "s", "r") if lead.get(name + "_amplitude")), None)
    if level is None or last is None or (last == "r" and not lead.get("q_amplitude")):
        return
    height = lead[last + "_amplitude"]
    if height * level > 0 and abs(height) < min(abs(level) + BEYOND_ST_UV, TALL_UV):
        for part in ("_amplitude", "_duration"):
            if last + part in lead:
                lead[last + part] = 0.0
        if last == "r":
            lead["r_peak_time"] = 0.0


def _gone_soon(lead: dict[str, float | None]) -> bool:
    """Whether what stands 20 ms after J has fallen to the baseline 60 ms after it: the last part of a late QRS."""
    early, late = lead.get("st_j20"), lead.get("st_j60")
    return early is not None and late is not None and abs(early) >= SOON_UV and abs(late) <= SOON_REST * abs(early)
