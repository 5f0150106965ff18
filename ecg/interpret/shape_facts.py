"""Facts about the shape of QRS and P: bundle branches, fascicles, voltages, atria."""
from __future__ import annotations

from ..recording import STANDARD_LEADS
from .lead_values import LeadValues

CHEST = STANDARD_LEADS[6:]
LIMB = STANDARD_LEADS[:6]


def shape_facts(leads: LeadValues, values: dict) -> None:
    """Adds the shape facts to ``values``."""
    values["qrs_goes_on"] = float(leads.qrs_goes_on)
    _bundles(leads, values)
    _voltages(leads, values)
    _atria(leads, values)


def _bundles(leads: LeadValues, values: dict) -> None:
    if not leads.all_there("I", "V1", "V6"):
        values.update(dict.fromkeys(("rbbb_v1", "rbbb_s", "rsr_v1", "lbbb_v1", "lbbb_lateral"), None))
    else:
        r, s, r2 = leads.value("V1", "r_amplitude"), -leads.value("V1", "s_amplitude"), leads.value("V1", "r2_amplitude")
        late_r = leads.r("V1") >= 200 and (leads.value("V1", "r_peak_time") or 0) >= 45 and s < 0.5 * leads.r("V1")
        values["rbbb_v1"] = float((r2 >= 100 and r2 >= 0.5 * r) or late_r)
        seen, level = leads.value("V1", "r2_seen") or 0.0, max(leads.value("V1", "st_j") or 0.0, 0.0)
        values["rsr_v1"] = float(late_r or (seen >= 100 and seen >= level + 35))
        width = {lead: leads.value(lead, "s_duration") or 0.0 for lead in ("I", "V6")}
        values["rbbb_s"] = float(any((width[lead] >= 38 and leads.s(lead) >= 50)
                                     or (leads.qrs_goes_on and (leads.value(lead, "st_j") or 0.0) <= -100) for lead in width))
        values["lbbb_v1"] = float(leads.s("V1") >= 3 * leads.r("V1") and leads.s("V1") >= 300 and r2 < 60)
        values["lbbb_lateral"] = float(any(leads.r(lead) >= 300 and leads.q(lead) < 40 and leads.s(lead) < 0.5 * leads.r(lead)
                                           and (leads.value(lead, "r_peak_time") or 0) >= 50 for lead in ("I", "V5", "V6", "aVL")))
    if not leads.all_there("I", "II", "III", "aVL", "aVF"):
        values.update(dict.fromkeys(("lafb_shape", "lafb_qr", "lpfb_shape"), None))
        return
    values["lafb_shape"] = float(leads.r("aVL") >= 1.0 * leads.s("aVL") and leads.s("III") > leads.s("II")
                                 and leads.s("II") > leads.r("II") and leads.r("III") >= 20)
    low = ("II", "III", "aVF")
    values["lafb_qr"] = float(leads.q("aVL") >= 20 and leads.r("aVL") > leads.s("aVL") and (leads.value("aVL", "r_peak_time") or 0) >= 45
                              and leads.r("III") >= 20 and all(leads.s(lead) > leads.r(lead) and leads.q(lead) < 20 for lead in low))
    values["lpfb_shape"] = float(leads.s("I") > leads.r("I") >= 20 and leads.q("III") >= 20 and leads.r("III") > leads.r("II")
                                 and leads.r("III") >= 500)


def _voltages(leads: LeadValues, values: dict) -> None:
    limb, chest = leads.all_there(*LIMB), leads.all_there(*CHEST)
    values["sokolow"] = leads.s("V1") + max(leads.r("V5"), leads.r("V6")) if chest else None
    values["cornell"] = leads.r("aVL") + leads.s("V3") if chest and limb else None
    values["peguero"] = max(leads.s(lead) for lead in STANDARD_LEADS if lead != "aVR") + leads.s("V4") if chest and limb else None
    qrs = values.get("qrs")
    values["cornell_product"] = (values["cornell"] + (600 if values["female"] else 0)) * qrs / 1000.0 if values["cornell"] is not None and qrs else None
    values["lewis"] = leads.r("I") + leads.s("III") - leads.r("III") - leads.s("I") if limb else None
    values["r_v5v6"] = max(leads.r("V5"), leads.r("V6")) if chest else None
    values["lowest_limb"] = max(leads.value(lead, "qrs_peak_to_peak") for lead in LIMB) if limb else None
    values["lowest_chest"] = max(leads.value(lead, "qrs_peak_to_peak") for lead in CHEST) if chest else None
    values["r_over_s_v1"] = leads.r("V1") / max(leads.s("V1"), 20.0) if chest else None
    values["rvh_sum"] = leads.r("V1") + max(leads.s("V5"), leads.s("V6")) if chest else None
    values["s_v6_deep"] = float(leads.s("V6") >= leads.r("V6")) if chest else None
    values["strain"] = float(any(leads.st(lead, "st_j60") <= -50 and leads.t(lead) < -50 for lead in ("I", "aVL", "V5", "V6"))
                             and any(leads.r(lead) > 1000 for lead in ("I", "aVL", "V5", "V6"))) if chest and limb else None
    values["lvh_score"] = None if values["peguero"] is None else (
        values["peguero"] / (2300 if values["female"] else 2800) + values["sokolow"] / 3500
        + max(0.0, -leads.t("V6") / 200.0, -leads.t("I") / 200.0))
    values["voltage_count"] = None if values["peguero"] is None else float(sum((
        values["sokolow"] >= 3500, values["cornell"] >= (2000 if values["female"] else 2800), leads.r("aVL") >= 1100,
        values["peguero"] >= (2300 if values["female"] else 2800), values["r_v5v6"] >= 2600, values["lewis"] >= 1700)))


def _atria(leads: LeadValues, values: dict) -> None:
    there = leads.all_there("II", "V1")
    values["p_ii"] = leads.value("II", "p_amplitude") if there else None
    values["p_v1"] = leads.value("V1", "p_amplitude") if there else None
    values["p_ii_ms"] = leads.value("II", "p_duration") if there else None
