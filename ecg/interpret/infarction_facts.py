"""Facts about old infarction: Q waves after the Universal Definition, and the terms of two scores of Q, R and T.

Q waves: Fourth Universal Definition of MI (2018), table 4. The scores are weighted in the rule tables; their terms
are those of Selvester (loss of R beside Q); in the anterior one, where a low R alone is common, with the age of the patient.
"""
from __future__ import annotations

import math

from ..recording import STANDARD_LEADS
from .lead_values import LeadValues

INFERIOR, LATERAL, ANTERIOR = ("II", "III", "aVF"), ("I", "aVL", "V5", "V6"), ("V1", "V2", "V3", "V4")
TERMS = ("r_front", "q_front", "q_septal", "q_ratio_low", "t_ii", "r_ii", "age_over_60")
USUAL_R_FRONT_UV, USUAL_R_II_UV = 350.0, 600.0
BESIDE_III = 0.1             # Q/R of aVF from which a Q in III counts: in III alone it is a variant of the normal


def infarction_facts(leads: LeadValues, values: dict, groups: dict, notes: dict) -> None:
    """Adds the facts to ``values``, their leads to ``groups``, their evidence to ``notes``."""
    names = ("q_inferior", "q_anterior", "q_lateral", "r_loss", *TERMS)
    if not leads.all_there(*STANDARD_LEADS):
        values.update(dict.fromkeys(names, None))
        return
    _q_waves(leads, values, groups, notes)
    _terms(leads, values)
    values["r_loss"] = float(leads.r("V3") < 300 and leads.r("V2") < 300)
    groups["inferior_score"], groups["anterior_score"] = INFERIOR, ANTERIOR
    notes["inferior_score"] = "，".join(f"{lead} Q {leads.q_ms(lead):.0f} ms" for lead in INFERIOR if leads.q(lead))
    notes["anterior_score"] = "，".join(f"{lead} R {leads.r(lead) / 1000:.2f} mV" for lead in ANTERIOR)


def _q_waves(leads: LeadValues, values: dict, groups: dict, notes: dict) -> None:
    q = {lead: _pathological(leads, lead) for lead in STANDARD_LEADS}
    for name, area in (("q_inferior", INFERIOR), ("q_lateral", LATERAL), ("q_anterior", ("V1", "V2", "V3", "V4", "V5"))):
        have = tuple(lead for lead in area if q[lead] and (name != "q_lateral" or leads.q(lead) >= 0.25 * leads.r(lead)))
        groups[name] = have
        values[name] = float(_neighbours(have, area) if name != "q_lateral" else len(have) >= 2)
        notes[name] = "，".join(f"{lead} Q {leads.q_ms(lead):.0f} ms {leads.q(lead) / 1000:.2f} mV" for lead in have)
    values["q_anterior"] = float(values["q_anterior"] and any(q[lead] for lead in ("V2", "V3", "V4")))


def _terms(leads: LeadValues, values: dict) -> None:
    """r_front, r_ii: logarithm of R (V2-V4; II) against its usual height; q_front, q_septal: leads of V3-V5, V1-V2 with a Q;
    q_ratio_low: sum of Q/R in II, aVF, and III where aVF has a Q, too; t_ii: T against 0.2 mV; age_over_60: in steps of 20 years."""
    values["r_front"] = sum(_within(math.log((leads.r(lead) + 40.0) / USUAL_R_FRONT_UV), -3.0, 1.0) for lead in ("V2", "V3", "V4"))
    values["q_front"] = float(sum(leads.q(lead) > max(30.0, 0.08 * leads.r(lead)) for lead in ("V3", "V4", "V5")))
    values["q_septal"] = float(sum(leads.q(lead) > 30.0 for lead in ("V1", "V2")))
    two, three, foot = (min(leads.q(lead) / max(leads.r(lead), 50.0), 1.5) for lead in INFERIOR)
    values["q_ratio_low"] = two + foot + (three if foot > BESIDE_III else 0.0)
    secondary = values["strain"] or (leads.r("II") > 1500 and leads.t("II") < 0)       # T turned by hypertrophy says nothing here
    values["t_ii"] = 0.5 if secondary else _within(leads.t("II") / 200.0, -1.0, 1.5)
    values["r_ii"] = _within(math.log((leads.r("II") + 50.0) / USUAL_R_II_UV), -1.6, 0.6)
    age = values["age"]
    values["age_over_60"] = 0.0 if age is None else _within((age - 60.0) / 20.0, -1.5, 1.0)


def _pathological(leads: LeadValues, lead: str) -> bool:
    if lead in ("V2", "V3"):
        return leads.is_qs(lead) or (leads.q_ms(lead) >= 20 and leads.q(lead) >= 50)
    if lead in ("aVR", "V1"):
        return lead == "V1" and leads.is_qs(lead)
    return leads.is_qs(lead) or (leads.q_ms(lead) >= 30 and leads.q(lead) >= 100)


def _within(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


def _neighbours(have: tuple[str, ...], order: tuple[str, ...]) -> bool:
    place = [order.index(lead) for lead in have]
    if order == INFERIOR:
        return len(have) >= 2
    return any(b - a == 1 for a, b in zip(place, place[1:]))
