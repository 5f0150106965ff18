"""The registrar's verbs: which patient rows are one person, decided by people, with history. Rows themselves never change.

A merge never crosses a contradiction in resident numbers, or an earlier decision that two rows are two people, unless the
reason for crossing it is stated. A split is remembered: the rule does not link again what a person has parted.
"""
from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, or_, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import identity, known
from hub.model import identifiers, matching, resident_id
from hub.model.access import Actor
from hub.model.identifiers import Said
from hub.model.lifecycle import PAIR
from hub.model.matching import Match
from hub.storage import audit, names
from hub.storage.states import advance
from hub.storage.tables import (
    account, patient, patient_identifier, patient_index, patient_pair, person_link, reading, site, study,
)

PAGE = 50
LONGEST_SEARCH = 64


@dataclass(frozen=True)
class Row:
    """One site's row of a patient: the row itself with ``site_name``, what it is known by, its studies (newest first), and the
    codes of what contradicts itself in it. ``linked``: the standing link, or None."""

    patient: object
    identifiers: tuple
    studies: tuple
    warnings: tuple[str, ...]
    linked: object | None


@dataclass(frozen=True)
class Sheet:
    """One person: the rows that are one, every link that stands or stood, and the pairs that were or are to be decided."""

    rows: tuple[Row, ...]
    history: tuple
    pairs: tuple


@dataclass(frozen=True)
class Comparison:
    """Two rows side by side. ``barrier``: "" or what a merge would cross: "resident_ids_differ", "kept_apart_before"."""

    one: Row
    other: Row
    match: Match
    barrier: str
    pair: object | None


def merge(hub: Hub, actor: Actor, one_id: int, other_id: int, why: str, across: str = "") -> int:
    """Decides that two rows, and all that are linked with them, are one person; returns the person. ``across``: the stated reason
    for crossing different resident numbers or an earlier decision; Refused without it."""
    actor.require("identity.manage")
    why, across = stated(why), across.strip()
    with hub.writing() as connection:
        for each in (one_id, other_id):
            _usable_row(connection, each)
        ones, others = known.members(connection, one_id), known.members(connection, other_id)
        if other_id in ones:
            raise Conflict("one_person_already", "这两条记录已经是同一患者。", "these two rows are one person already.")
        barrier = barrier_between(hub, connection, ones, others)
        if barrier and not across:
            zh, en = BARRIERS[barrier]
            raise Refused(barrier, zh, en)
        rows = known.load(connection, hub.rules.identity, [one_id, other_id])
        found = matching.match(rows[one_id], rows[other_id], hub.rules.identity.matching)
        reasons = [list(reason) for reason in found.reasons]
        first, second = sorted((one_id, other_id))
        if _pair(connection, first, second) is None:
            connection.execute(insert(patient_pair).values(one_id=first, other_id=second, state=PAIR.initial, score=found.score, reasons=reasons,
                                                           made_at=hub.now(), decided_by="", why=""))
        words = f"{why}（越过矛盾：{across}）" if barrier else why
        person_id = identity.join(hub, connection, ones, others, actor, found.score, reasons, words)
        audit.append(connection, hub.now(), actor, "person.merge", "person", person_id, rows[one_id].site_id, one_id, other=other_id, why=why,
                     score=found.score, barrier=barrier, across=across if barrier else "")
        identity.mark_members(connection, hub.rules.identity, one_id)
    return person_id


BARRIERS = {
    "resident_ids_differ": ("两条记录的身份证号不同，不能合并。确属同一人时（如其中一个号码登记错误），请写明依据后再合并。",
                            "the two bear different resident numbers and are not merged; if they are one person all the same, state how you know."),
    "kept_apart_before": ("此前已由人工判定不是同一人。要推翻该判定，请写明依据后再合并。",
                          "a person has decided before that they are two people; to overturn it, state how you know."),
}


def split(hub: Hub, actor: Actor, patient_id: int, why: str) -> None:
    """Takes one row out of its person. It stays apart from the others until a person decides otherwise."""
    actor.require("identity.manage")
    why, now = stated(why), hub.now()
    with hub.writing() as connection:
        standing = connection.execute(_standing(patient_id)).one_or_none()
        if standing is None:
            raise Conflict("not_linked", "该记录没有与其他记录关联。", "this row is linked with no other.")
        others = [each for each in known.members(connection, patient_id) if each != patient_id]
        ending = [patient_id, *(others if len(others) == 1 else [])]
        connection.execute(update(person_link).where(person_link.c.patient_id.in_(ending), person_link.c.ended_at.is_(None)).values(
            ended_at=now, ended_by=actor.name[:64], ended_why=why))
        rows = known.load(connection, hub.rules.identity, [patient_id, *others])
        for other_id in others:
            found = matching.match(rows[patient_id], rows[other_id], hub.rules.identity.matching)
            identity.suggest(hub, connection, patient_id, other_id, found)
            row = _pair(connection, *sorted((patient_id, other_id)))
            if row.state in PAIR.sources("decline"):
                advance(connection, PAIR, row.id, "decline", decided_by=actor.name[:64], decided_at=now, why=why)
        audit.append(connection, now, actor, "person.split", "person", standing.person_id, rows[patient_id].site_id, patient_id, others=others, why=why)
        for each in (patient_id, *others):
            identity.learn(hub, connection, each)


def decline(hub: Hub, actor: Actor, pair_id: int, why: str) -> None:
    """Decides that a suggested pair is two people."""
    actor.require("identity.manage")
    why = stated(why)
    with hub.writing() as connection:
        row = connection.execute(select(patient_pair).where(patient_pair.c.id == pair_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有这条匹配建议。", "no such suggestion.")
        if row.state != PAIR.initial:
            raise Conflict("decided_already", "该匹配已有结论，请刷新后再看。", "this pair has been decided; reload.")
        advance(connection, PAIR, pair_id, "decline", decided_by=actor.name[:64], decided_at=hub.now(), why=why)
        audit.append(connection, hub.now(), actor, "person.decline", "pair", pair_id, patient_id=row.one_id, other=row.other_id, why=why)


def add_identifier(hub: Hub, actor: Actor, patient_id: int, kind: str, text: str) -> None:
    """Enters a number that a person read from a card or was told by phone. A resident number must pass its checks."""
    actor.require("identity.manage")
    if kind == identifiers.RESIDENT_ID:
        resident_id.parse(text, hub.now().date())
    rules = hub.rules.identity
    if kind not in identifiers.KINDS or not identifiers.identifiers([Said(text, "registrar", "", kind)], rules.kinds, rules.placeholders):
        raise Invalid("bad_identifier", "号码为空、无效或是占位符，请核对后重新填写。", "the number is empty, invalid or a placeholder; check it.")
    with hub.writing() as connection:
        row = _usable_row(connection, patient_id)
        identity.learn(hub, connection, patient_id, [Said(text, "registrar", "", kind)])
        audit.append(connection, hub.now(), actor, "person.identifier", "patient", patient_id, row.site_id, patient_id, kind=kind)


def barrier_between(hub: Hub, connection: Connection, ones: list[int], others: list[int]) -> str:
    """What a merge of these two persons would cross: a key of BARRIERS, "" for nothing."""
    if matching.differ_in_resident_id(known.load(connection, hub.rules.identity, [*ones, *others]).values()):
        return "resident_ids_differ"
    return "kept_apart_before" if identity.kept_apart(connection, ones, others) else ""


def stated(why: str) -> str:
    """The reason for a decision; Invalid without one."""
    if not why.strip():
        raise Invalid("no_reason", "请写明依据。", "say why.")
    return why.strip()[:400]


def suggestions(hub: Hub, actor: Actor, page: int = 1) -> tuple[list, int]:
    """Pairs that wait for a decision, the likeliest first, and how many there are: one_*, other_* columns of both rows."""
    actor.require("identity.view")
    one, other, here, there = patient.alias("one"), patient.alias("other"), site.alias("here"), site.alias("there")
    found = (select(patient_pair, *(table.c[name].label(f"{label}_{name}") for label, table in (("one", one), ("other", other))
                                    for name in ("name", "patient_id", "sex", "birth_date")),
                    here.c.name.label("one_site"), there.c.name.label("other_site"))
             .join(one, one.c.id == patient_pair.c.one_id).join(other, other.c.id == patient_pair.c.other_id)
             .join(here, here.c.id == one.c.site_id).join(there, there.c.id == other.c.site_id).where(patient_pair.c.state == PAIR.initial))
    with hub.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(patient_pair).where(patient_pair.c.state == PAIR.initial))
        return list(connection.execute(found.order_by(patient_pair.c.score.desc(), patient_pair.c.id).limit(PAGE).offset((max(1, page) - 1) * PAGE))), total


def search(hub: Hub, actor: Actor, text: str) -> list:
    """Patient rows of the region by name, pinyin, initials, or any number, at most PAGE. What was searched is in the audit."""
    actor.require("identity.view")
    text = text.strip()[:LONGEST_SEARCH]
    if not text:
        return []
    bare = resident_id.normal(text)
    numbers = select(patient_identifier.c.patient_id).where(patient_identifier.c.value.in_((bare, bare.casefold())))
    named, values = names.beginning(text, False)
    fits = [patient.c.id.in_(numbers), patient.c.patient_id == text, patient.c.id.in_(named.patients())]
    latin, read = names.beginning_in_latin(text, False) or (None, {})
    in_latin = [patient.c.id.in_(latin.patients())] if latin is not None else []      # those that are written so come first
    found = (select(patient, site.c.name.label("site_name"), patient_index.c.is_usable, person_link.c.person_id)
             .join(site, site.c.id == patient.c.site_id).join(patient_index, patient_index.c.patient_id == patient.c.id)
             .outerjoin(person_link, (person_link.c.patient_id == patient.c.id) & person_link.c.ended_at.is_(None))
             .where(patient_index.c.is_usable, or_(*fits, *in_latin)).order_by(*in_latin, patient_index.c.pinyin, patient.c.birth_date, patient.c.id).limit(PAGE))
    with hub.writing() as connection:
        rows = list(connection.execute(found, values | read))
        audit.append(connection, hub.now(), actor, "person.search", "patient", "", found=len(rows), text=text)
    return rows


def look(hub: Hub, actor: Actor, patient_id: int) -> Sheet:
    """The person over a patient row; the look is recorded."""
    actor.require("identity.view")
    with hub.writing() as connection:
        _row(connection, patient_id)
        ids = known.members(connection, patient_id)
        rows = _rows(connection, ids)
        links = connection.execute(
            select(person_link, patient.c.name, site.c.name.label("site_name"), account.c.display_name)
            .join(patient, patient.c.id == person_link.c.patient_id).join(site, site.c.id == patient.c.site_id)
            .outerjoin(account, account.c.id == person_link.c.account_id).where(person_link.c.patient_id.in_(ids)).order_by(person_link.c.id.desc()))
        one, other, here, there = patient.alias(), patient.alias(), site.alias(), site.alias()
        pairs = connection.execute(
            select(patient_pair, one.c.name.label("one_name"), other.c.name.label("other_name"), here.c.name.label("one_site"), there.c.name.label("other_site"))
            .join(one, one.c.id == patient_pair.c.one_id).join(other, other.c.id == patient_pair.c.other_id)
            .join(here, here.c.id == one.c.site_id).join(there, there.c.id == other.c.site_id)
            .where(or_(patient_pair.c.one_id.in_(ids), patient_pair.c.other_id.in_(ids))).order_by(patient_pair.c.score.desc()))
        sheet = Sheet(tuple(rows[each] for each in ids), tuple(links), tuple(pairs))
        audit.append(connection, hub.now(), actor, "person.view", "patient", patient_id, rows[patient_id].patient.site_id, patient_id)
    return sheet


def side_by_side(hub: Hub, actor: Actor, one_id: int, other_id: int) -> Comparison:
    """Two rows for comparison, with points, reasons and what a merge would cross; the look is recorded."""
    actor.require("identity.view")
    with hub.writing() as connection:
        for each in (one_id, other_id):
            _row(connection, each)
        rows = _rows(connection, [one_id, other_id])
        facts = known.load(connection, hub.rules.identity, [one_id, other_id])
        barrier = barrier_between(hub, connection, known.members(connection, one_id), known.members(connection, other_id))
        found = Comparison(rows[one_id], rows[other_id], matching.match(facts[one_id], facts[other_id], hub.rules.identity.matching), barrier,
                           _pair(connection, *sorted((one_id, other_id))))
        audit.append(connection, hub.now(), actor, "person.compare", "patient", one_id, rows[one_id].patient.site_id, one_id, other=other_id)
    return found


def _rows(connection: Connection, ids: list[int]) -> dict[int, Row]:
    numbers = connection.execute(select(patient_identifier).where(patient_identifier.c.patient_id.in_(ids)).order_by(patient_identifier.c.id)).all()
    of_study = connection.execute(
        select(study.c.id, study.c.patient_id, study.c.kind, study.c.modality, study.c.body_part, study.c.study_at, study.c.received_at,
               reading.c.state.label("reading_state")).outerjoin(reading, reading.c.study_id == study.c.id)
        .where(study.c.patient_id.in_(ids)).order_by(study.c.id.desc())).all()
    links = {link.patient_id: link for link in connection.execute(select(person_link).where(person_link.c.patient_id.in_(ids), person_link.c.ended_at.is_(None)))}
    found = connection.execute(select(patient, site.c.name.label("site_name"), patient_index.c.warnings, patient_index.c.is_usable).join(site, site.c.id == patient.c.site_id)
                               .outerjoin(patient_index, patient_index.c.patient_id == patient.c.id).where(patient.c.id.in_(ids)))
    return {row.id: Row(row, tuple(one for one in numbers if one.patient_id == row.id), tuple(one for one in of_study if one.patient_id == row.id),
                        tuple(row.warnings or ()), links.get(row.id)) for row in found}


def _row(connection: Connection, patient_id: int):
    row = connection.execute(select(patient).where(patient.c.id == patient_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这名患者。", "no such patient.")
    return row


def _usable_row(connection: Connection, patient_id: int):
    row = _row(connection, patient_id)
    if not connection.scalar(select(patient_index.c.is_usable).where(patient_index.c.patient_id == patient_id)):
        raise Refused("unidentified", "该记录没有可用的身份信息，可能包含多名患者，请在“未识别”中逐份检查归属。",
                      "this row has no usable identity and may hold several people: assign its studies one by one.")
    return row


def _standing(patient_id: int):
    return select(person_link).where(person_link.c.patient_id == patient_id, person_link.c.ended_at.is_(None))


def _pair(connection: Connection, first: int, second: int):
    return connection.execute(select(patient_pair).where(patient_pair.c.one_id == first, patient_pair.c.other_id == second)).one_or_none()
