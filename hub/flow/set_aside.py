"""Objects of the quarantine desk that were decided upon for a study: what entered it, and what was not chosen for it.

Their bytes have the term of the study and go with it; the case stays, with its decisions and a tombstone.
"""
from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection, Row, Select, exists, func, insert, or_, select

from hub.context import Hub
from hub.model.access import Actor
from hub.model.lifecycle import HELD
from hub.model.retention import Rule
from hub.queue import outbox
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import damage, decision, held, held_removal, instance, legal_hold, study

STATE = "resolved"
_BESIDE, _UNDOING, _HOME = instance.alias("beside"), decision.alias("undoing"), study.alias("home")
_OF_STUDY = func.coalesce(decision.c.study_id, instance.c.study_id)


def of_studies(connection: Connection, study_ids: Sequence[int]) -> list[Row]:
    """The cases of these studies, as rows of ``held`` with ``of_study`` and ``used``: the hash that stands in the study now."""
    return list(connection.execute(_cases(study_ids, held, _OF_STUDY.label("of_study"), instance.c.sha256.label("used")).order_by(held.c.id)))


def reasons(study_ids: Sequence[int], settled) -> list[tuple[str, Select]]:
    """Why a study with such a case stays (codes of hub.model.retention.STAYS), each with the statement that finds those studies:
    the study beside which the object was kept is on hold, a file of it is damaged, or it was decided after ``settled``."""
    standing = legal_hold.c.ended_at.is_(None)
    return [
        ("on_hold", _cases(study_ids, _OF_STUDY).join(_BESIDE, _BESIDE.c.id == held.c.instance_id)
         .join(legal_hold, legal_hold.c.study_id == _BESIDE.c.study_id).where(standing)),
        ("on_hold", _cases(study_ids, _OF_STUDY).join(_HOME, _HOME.c.study_uid == held.c.facts["study_uid"].as_string())
         .join(legal_hold, legal_hold.c.study_id == _HOME.c.id).where(standing)),
        ("damaged", _cases(study_ids, _OF_STUDY).join(damage, damage.c.source_id == held.c.id).where(damage.c.source == "held", damage.c.mended_at.is_(None))),
        ("corrected", _cases(study_ids, _OF_STUDY).where(decision.c.at > settled)),
    ]


def entomb(hub: Hub, connection: Connection, actor: Actor, row: Row, rule: Rule, kept_until: date) -> None:
    """Removes a case: a tombstone, the job that takes its bytes, and the audit's entry. Its hash is free for the same bytes sent again."""
    now, version = hub.now(), hub.rules.retention.version
    removal_id = connection.execute(insert(held_removal).values(
        held_id=row.id, sha256=row.sha256, size=row.size, files=row.files, rule=rule.id, rules_version=version, kept_until=kept_until.isoformat(),
        account_id=actor.account_id, who=actor.name, at=now)).inserted_primary_key[0]
    advance(connection, HELD, row.id, "remove", sha256=f"removed-{removal_id}", files=[])
    outbox.enqueue(connection, now, "remove_held_bytes", str(removal_id), removal_id=removal_id)
    audit.append(connection, now, actor, "held.removed", "held", row.id, row.site_id, sha256=row.sha256, rule=rule.id, rules_version=version,
                 kept_until=kept_until.isoformat())


def _cases(study_ids: Sequence[int], *columns) -> Select:
    """These columns of the cases whose decision stands and is about one of these studies."""
    return (select(*columns).select_from(held).join(decision, decision.c.held_id == held.c.id).outerjoin(instance, instance.c.id == decision.c.instance_id)
            .where(held.c.state == STATE, or_(decision.c.study_id.in_(study_ids), instance.c.study_id.in_(study_ids)),
                   ~exists().where(_UNDOING.c.undoes == decision.c.id)))
