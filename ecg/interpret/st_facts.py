"""Facts about ST and T: elevation, depression and inversion in neighbouring leads, and the pictures they make.

Limits of elevation at J: Fourth Universal Definition of MI (2018), table 1 and text: 0.1 mV in two contiguous
leads, in V2-V3 0.2 mV for men from 40, 0.25 mV below 40, 0.15 mV for women. The level is taken 20 ms after J,
where the end of the QRS no longer counts; in leads of a tall R (V4-V6) at J itself, if most of it stays 20 ms later.
Where the voltages are those of hypertrophy, V1-V3 count only from a quarter of their S: Armstrong 2012, Am J
Cardiol 110:977. Beside a bundle branch block: Sgarbossa 1996, NEJM 334:481, and the ratio of Smith 2012, Ann Emerg
Med 60:766.
"""
from __future__ import annotations

from .lead_values import LeadValues

TERRITORIES = {"inferior": ("II", "III", "aVF"), "anterior": ("V1", "V2", "V3", "V4"), "lateral": ("I", "aVL", "V5", "V6"),
               "septal": ("V1", "V2")}
CIRCLE = (("V1", "V2", "V3", "V4", "V5", "V6"), ("aVL", "I", "II", "aVF", "III"))
DEPRESSION_UV = -50.0
INVERSION_UV = -100.0
STAYS = 0.6                    # of the limit, 20 ms after J
SLIGHT_UV = 95.0               # in one lead of V4-V5: not more than 0.1 mV is usual there
ARMSTRONG_RATIO, SMITH_RATIO = 0.25, 0.25


def st_facts(leads: LeadValues, values: dict, groups: dict, notes: dict) -> None:
    """Adds ST and T facts to ``values``, their leads to ``groups``, their evidence to ``notes``."""
    limit = elevation_limits(values["age"], bool(values["female"]))
    large = (values.get("voltage_count") or 0) >= 1
    up = tuple(lead for lead in limit if _raised(leads, lead, limit[lead]) and not (large and _of_hypertrophy(leads, lead)))
    higher = tuple(lead for lead in limit if leads.st(lead) >= 1.5 * limit[lead])
    down = tuple(lead for row in CIRCLE for lead in row if leads.st(lead, "st_j60") <= DEPRESSION_UV and leads.st(lead) <= 0.5 * DEPRESSION_UV)
    deep = tuple(lead for lead in down if leads.st(lead, "st_j60") <= -100)
    flipped = tuple(lead for lead in ("I", "II", "aVL", "aVF", "V3", "V4", "V5", "V6")
                    if leads.t(lead) <= INVERSION_UV and (lead not in ("aVL", "aVF") or leads.r(lead) > 300))
    _group("ste", neighbours(up), leads, values, groups, notes)
    _group("ste_marked", neighbours(higher), leads, values, groups, notes)
    _group("std", neighbours(down), leads, values, groups, notes)
    _group("std_deep", neighbours(deep), leads, values, groups, notes)
    for name, area in TERRITORIES.items():
        inside = neighbours(tuple(lead for lead in area if lead in up)) if name != "lateral" else tuple(lead for lead in area if lead in up)
        _group("ste_" + name, inside if len(inside) >= 2 else (), leads, values, groups, notes)
    slight = tuple(lead for lead in ("V4", "V5") if min(leads.st(lead, "st_j"), leads.st(lead)) >= SLIGHT_UV and leads.r(lead) > leads.s(lead))
    _group("ste_slight", slight, leads, values, groups, notes)
    values["ste_slight"] = float(bool(slight))
    values["std_count"] = float(len(down))
    values["std_front"] = float(sum(leads.st(lead) <= -80 and leads.t(lead) > 0 for lead in ("V1", "V2", "V3")) >= 2)
    values["st_avr"] = leads.value("aVR", "st_j20")
    values["reciprocal"] = float(_reciprocal(leads, up))
    groups["t_inverted"], notes["t_inverted"] = neighbours(flipped), _shown(leads, neighbours(flipped), "t_amplitude", "T")
    values["t_inverted"] = float(len(groups["t_inverted"]) >= 2)
    deep_t = tuple(lead for lead in ("V2", "V3", "V4") if leads.t(lead) <= -500)
    groups["t_deep"], notes["t_deep"], values["t_deep"] = deep_t, _shown(leads, deep_t, "t_amplitude", "T"), float(len(deep_t) >= 2)
    flat = tuple(lead for lead in ("I", "II", "V4", "V5", "V6") if leads.r(lead) > 400 and abs(leads.t(lead)) < 0.1 * leads.r(lead)
                 and leads.t(lead) < 150)
    groups["t_flat"], notes["t_flat"], values["t_flat"] = flat, _shown(leads, flat, "t_amplitude", "T"), float(len(flat) >= 2)
    tall = tuple(lead for lead in CIRCLE[0][1:] + ("II", "III", "aVF", "I")
                 if leads.t(lead) >= (1000 if lead[0] == "V" else 500) and leads.t(lead) > 0.75 * max(leads.r(lead), leads.s(lead)))
    groups["t_tall"], notes["t_tall"], values["t_tall"] = tall, _shown(leads, tall, "t_amplitude", "T"), float(len(tall))
    values["largest_t"] = max((leads.t(lead) for row in CIRCLE for lead in row), default=0.0)
    values["concave"] = float(_concave(leads, up))
    values["brugada_v1"] = float(leads.st("V1") >= 200 and leads.st("V1", "st_j80") < leads.st("V1") and leads.t("V1") < 0
                                 or leads.st("V2") >= 200 and leads.st("V2", "st_j80") < leads.st("V2") and leads.t("V2") < 0)
    against = [lead for lead in CIRCLE[0] + CIRCLE[1] if leads.st(lead) >= 100 and leads.r(lead) > leads.s(lead)]
    below = [lead for lead in ("V1", "V2", "V3") if leads.st(lead) <= -100]
    beyond = [lead for lead in CIRCLE[0] + CIRCLE[1] if leads.s(lead) > leads.r(lead)
              and leads.st(lead) >= max(100.0, SMITH_RATIO * leads.s(lead))]
    groups["sgarbossa"] = tuple(dict.fromkeys(against + below + beyond))
    values["sgarbossa"] = float(bool(groups["sgarbossa"]))
    notes["sgarbossa"] = _shown(leads, groups["sgarbossa"], "st_j20", "ST")


def _raised(leads: LeadValues, lead: str, limit_uv: float) -> bool:
    """Whether the ST segment of a lead is raised: 20 ms after J, in V4-V6 at J where most of it stays."""
    later = leads.st(lead)
    return later >= limit_uv or (lead in ("V4", "V5", "V6") and leads.st(lead, "st_j") >= limit_uv and later >= STAYS * limit_uv)


def _of_hypertrophy(leads: LeadValues, lead: str) -> bool:
    """Whether an elevation in V1-V3 is no more than a deep S brings with it."""
    return lead in ("V1", "V2", "V3") and leads.s(lead) > leads.r(lead) and leads.st(lead) < ARMSTRONG_RATIO * leads.s(lead)


def elevation_limits(age: float | None, female: bool) -> dict[str, float]:
    """ST elevation that counts, microvolts, per lead."""
    chest = 150.0 if female else 250.0 if age is not None and age < 40 else 200.0
    return {lead: chest if lead in ("V2", "V3") else 100.0 for row in CIRCLE for lead in row}


def neighbours(have: tuple[str, ...]) -> tuple[str, ...]:
    """Those leads of a set that have a neighbour in it: V1-V6 in order, and aVL, I, II, aVF, III."""
    kept = []
    for row in CIRCLE:
        for at, lead in enumerate(row):
            if lead in have and ((at and row[at - 1] in have) or (at + 1 < len(row) and row[at + 1] in have)):
                kept.append(lead)
    return tuple(kept)


def _group(name: str, have: tuple[str, ...], leads: LeadValues, values: dict, groups: dict, notes: dict) -> None:
    values[name], groups[name], notes[name] = float(len(have) >= 2), have, _shown(leads, have, "st_j20", "ST")


def _shown(leads: LeadValues, have: tuple[str, ...], name: str, label: str) -> str:
    return f"{label} " + "，".join(f"{lead} {(leads.value(lead, name) or 0) / 1000:+.2f}" for lead in have) + " mV" if have else ""


def _reciprocal(leads: LeadValues, up: tuple[str, ...]) -> bool:
    """Depression opposite to an elevation: inferior against I, aVL; anterior and lateral against III, aVF; V1-V3 for inferior."""
    low = any(lead in up for lead in ("II", "III", "aVF"))
    front = any(lead in up for lead in ("I", "aVL", "V2", "V3", "V4", "V5"))
    return (low and any(leads.st(lead) <= -50 for lead in ("I", "aVL", "V1", "V2", "V3"))) or \
        (front and any(leads.st(lead) <= -50 for lead in ("II", "III", "aVF")))


def _concave(leads: LeadValues, up: tuple[str, ...]) -> bool:
    """Elevations that climb concavely into a tall T of a tall R: the picture of early repolarization."""
    seen = [lead for lead in up if lead not in ("V1", "aVR")]
    if not seen:
        return False
    good = 0
    for lead in seen:
        first = leads.st(lead, "st_j40") - leads.st(lead)
        later = leads.st(lead, "st_j80") - leads.st(lead, "st_j40")
        good += later >= first * 0.8 and leads.t(lead) > 2 * leads.st(lead) and leads.r(lead) > 300 and leads.q(lead) < 0.25 * leads.r(lead)
    return good >= 0.75 * len(seen)
