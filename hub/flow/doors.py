"""What the doors refused or noticed, and what each visit of a device was like: counted beside the work, written now and then.

A flood of refusals costs no write each: a Ledger gathers counts in memory and writes them in one transaction. What
was gathered in the last seconds before a power cut is lost; objects and studies never wait for it.
"""
from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Lock, Thread

from sqlalchemy import Connection, delete, func, insert, select, update

from hub.context import Hub
from hub.errors import Retryable
from hub.flow.devices import Device
from hub.model import habits
from hub.model.access import Actor
from hub.model.device_rules import REFUSALS
from hub.storage import driver
from hub.storage.fitting import fitted
from hub.storage.tables import device, device_visit, door_count, instance

WRITE_EVERY_S = 2.0
TOLD_SINGLY = 10
MOST_VISITS_WAITING = 500
VISITS_KEPT = 20
LOOKED_THROUGH = 50_000      # of the latest instances of all devices: more do not arrive in a minute

log = logging.getLogger("hub.gateway")


@dataclass(frozen=True)
class Visit:
    """One association with a device. ``offered``: pairs of class and its transfer syntaxes as proposed; ``seconds``: from
    the first object's beginning to the last one's answer; ``ending``: "released", "aborted" or "lost"; ``written``: of
    the studies that it began, how many names were surely read in which encoding: the device's history, not this row's."""

    device_id: int
    began_at: datetime
    ended_at: datetime
    address: str
    called: str
    longest_pdu: int
    implementation: str
    tls: str
    offered: list
    objects: int
    bytes: int
    seconds: float
    ending: str
    written: dict[str, int] = field(default_factory=dict)


@dataclass
class _Count:
    times: int
    last_at: datetime
    address: str
    words: str


class Ledger:
    """Counts of one gateway process. ``note`` and ``visit`` never wait for the database and never raise."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._lock = Lock()
        self._writing = Lock()
        self._counts: dict[tuple[str, str, int], _Count] = {}
        self._visits: deque[Visit] = deque(maxlen=MOST_VISITS_WAITING)
        self._stop = Event()
        self._thread = Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def note(self, reason: str, device_id: int = 0, address: str = "", words: str = "") -> bool:
        """One more of ``reason`` (a code of REFUSALS). Whether it is worth a line of its own in the log: in a flood the
        first ones are, the rest are told of together."""
        if reason not in REFUSALS:
            reason = "not_stored"
        now = self._hub.now()
        with self._lock:
            key = (now.date().isoformat(), reason, device_id)
            known = self._counts.setdefault(key, _Count(0, now, "", ""))
            known.times += 1
            known.last_at, known.address, known.words = now, address or known.address, words or known.words
            return known.times <= TOLD_SINGLY

    def visit(self, visit: Visit) -> None:
        with self._lock:
            self._visits.append(visit)

    def write(self) -> None:
        """Writes what was gathered; what cannot be written now is kept for the next time."""
        with self._writing:
            with self._lock:
                counts, visits = self._counts, list(self._visits)
                self._counts = {}
                self._visits.clear()
            if not counts and not visits:
                return
            for (_, reason, _), count in counts.items():
                if count.times > TOLD_SINGLY:
                    log.warning("%s times within %s s, at last from %s: %s", count.times, WRITE_EVERY_S, count.address, REFUSALS[reason][1])
            try:
                with self._hub.writing() as connection:
                    for (day, reason, device_id), count in counts.items():
                        _add(connection, day, reason, device_id, count)
                    for one in visits:
                        driver.put(connection, device_visit, fitted(device_visit, {name: value for name, value in vars(one).items() if name != "written"}))
                    for device_id in sorted({one.device_id for one in visits}):
                        _keep_the_last(connection, device_id)
                        _count_names(connection, device_id, sum((Counter(one.written) for one in visits if one.device_id == device_id), Counter()))
            except Exception as error:
                log.warning("the door's counts could not be written: %s", error)
                self._put_back(counts, visits)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self.write()

    def _put_back(self, counts: dict[tuple[str, str, int], _Count], visits: list[Visit]) -> None:
        with self._lock:
            for key, count in counts.items():
                if key in self._counts:
                    self._counts[key].times += count.times
                else:
                    self._counts[key] = count
            self._visits.extendleft(reversed(visits[-(MOST_VISITS_WAITING - len(self._visits)):] if len(self._visits) < MOST_VISITS_WAITING else []))

    def _run(self) -> None:
        while not self._stop.wait(WRITE_EVERY_S):
            self.write()


def note_now(hub: Hub, reason: str, device_id: int = 0, address: str = "", words: str = "") -> None:
    """One refusal of a door that has no ledger of its own, written at once."""
    now = hub.now()
    with hub.writing() as connection:
        _add(connection, now.date().isoformat(), reason, device_id, _Count(1, now, address, words))


def require_pace(hub: Hub, device: Device) -> None:
    """For a door that many processes share: Retryable, and counted, where a device has stored as many objects in the last
    minute as its rules allow."""
    most = device.rules.objects_a_minute
    if not most:
        return
    with hub.reading() as connection:
        newest = connection.scalar(select(func.max(instance.c.id))) or 0
        stored = connection.scalar(select(func.count()).select_from(instance).where(
            instance.c.id > newest - LOOKED_THROUGH, instance.c.device_id == device.id, instance.c.received_at > hub.now() - timedelta(minutes=1)))
    if stored >= most:
        note_now(hub, "object_pace", device.id)
        zh, en = REFUSALS["object_pace"]
        raise Retryable("object_pace", f"{zh}（每分钟最多 {most} 份），请稍后重发。", f"{en} ({most}); send it again later.")


def refused(hub: Hub, actor: Actor, days: int = 1) -> list:
    """What the doors refused or noticed in the last days, the latest first, as rows with the device's name."""
    actor.require("operations.view")
    since = (hub.now() - timedelta(days=days)).date().isoformat()
    with hub.reading() as connection:
        return list(connection.execute(
            select(door_count.c.reason, door_count.c.device_id, func.sum(door_count.c.times).label("times"), func.max(door_count.c.last_at).label("last_at"),
                   func.max(door_count.c.last_address).label("last_address"), func.max(door_count.c.last_words).label("last_words"),
                   device.c.name.label("device_name"))
            .outerjoin(device, device.c.id == door_count.c.device_id).where(door_count.c.day >= since)
            .group_by(door_count.c.reason, door_count.c.device_id, device.c.name).order_by(func.max(door_count.c.last_at).desc()).limit(100)))


def totals(hub: Hub) -> list[tuple[str, int, int]]:
    """Every reason, the device behind it (0: none that is registered) and how often since counting began."""
    with hub.reading() as connection:
        rows = connection.execute(select(door_count.c.reason, door_count.c.device_id, func.sum(door_count.c.times).label("times"))
                                  .group_by(door_count.c.reason, door_count.c.device_id).order_by(door_count.c.reason, door_count.c.device_id))
        return [(row.reason, row.device_id, int(row.times)) for row in rows]


def _add(connection: Connection, day: str, reason: str, device_id: int, count: _Count) -> None:
    said = fitted(door_count, {"last_at": count.last_at, "last_address": count.address, "last_words": count.words})
    changed = connection.execute(update(door_count).where(
        door_count.c.day == day, door_count.c.reason == reason, door_count.c.device_id == device_id).values(times=door_count.c.times + count.times, **said))
    if changed.rowcount == 0:
        connection.execute(insert(door_count).values(day=day, reason=reason, device_id=device_id, times=count.times, **said))


def _keep_the_last(connection: Connection, device_id: int) -> None:
    oldest = connection.scalar(select(device_visit.c.id).where(device_visit.c.device_id == device_id)
                               .order_by(device_visit.c.id.desc()).offset(VISITS_KEPT).limit(1))
    if oldest is not None:
        connection.execute(delete(device_visit).where(device_visit.c.device_id == device_id, device_visit.c.id <= oldest))


def _count_names(connection: Connection, device_id: int, more: Counter) -> None:
    if more:
        known = connection.scalar(select(device.c.written).where(device.c.id == device_id).with_for_update())
        connection.execute(update(device).where(device.c.id == device_id).values(written=habits.with_more(known or {}, more)))
