"""What a device asked the hub to vouch for and the hub has not: evidence that something of a study is still to come.

A storage commitment request names instances, not their study. Where those of its instances that are here belong to one
study, the others are taken to be of it, too; a request that names nothing that is here, or several studies, is no evidence.
"""
from __future__ import annotations

from sqlalchemy import insert, select

from hub.context import Hub
from hub.flow import completion
from hub.model.access import Actor
from hub.storage.tables import promise

MOST = 2000      # of one study; beyond it the number is no longer what matters


def note(hub: Hub, actor: Actor, study_uids: set[str], lacking: list[str]) -> None:
    """Keeps the instances that a device of the actor's site vouched for and that are not here. ``study_uids``: of those that
    are. A study that has closed gets its new proof sheet."""
    if len(study_uids) != 1 or not lacking or actor.site_id is None:
        return
    study_uid, = study_uids
    with hub.writing() as connection:
        known = set(connection.scalars(select(promise.c.sop_uid).where(promise.c.study_uid == study_uid, promise.c.site_id == actor.site_id)))
        fresh = [uid for uid in dict.fromkeys(lacking) if uid not in known][:max(0, MOST - len(known))]
        if fresh:
            connection.execute(insert(promise), [{"site_id": actor.site_id, "study_uid": study_uid, "sop_uid": uid, "at": hub.now()} for uid in fresh])
            completion.prove_again(hub, connection, study_uid, actor.site_id)
