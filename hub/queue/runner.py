"""The RQ side: due jobs go to Redis, worker processes take them from there. RQ is known here only."""
from __future__ import annotations

import logging
import os
import signal
from importlib import import_module

from redis.exceptions import RedisError
from rq import Queue, Worker
from sqlalchemy import Engine

from hub.clock import Clock
from hub.errors import Conflict
from hub.queue import outbox
from hub.queue.redis import connection
from hub.settings import Settings
from hub.storage import database

QUEUE = "hub"
RUN = "hub.flow.jobs.run"
LONGEST_JOB_S = 3600

log = logging.getLogger("hub.queue")


class Dispatcher:
    """Hands due jobs to RQ. A Redis that is away is no fault: jobs wait in the database."""

    def __init__(self, settings: Settings, engine: Engine, clock: Clock):
        self._engine, self._clock, self._lease_s = engine, clock, settings.job_lease_s
        self._queue = Queue(QUEUE, connection=connection(settings), serializer="json")
        self._away = False

    def hand_over(self) -> int:
        """Hands over what is due now and returns how many."""
        now = self._clock()
        with database.reading(self._engine) as looking:
            waiting = outbox.due(looking, now)
        handed = 0
        for job in waiting:
            try:
                self._queue.enqueue_call(RUN, args=[job.id], timeout=LONGEST_JOB_S, result_ttl=0, failure_ttl=60)
            except RedisError as error:
                if not self._away:
                    log.warning("Redis is away, jobs wait in the database: %s", error)
                self._away = True
                return handed
            self._away = False
            with database.writing(self._engine) as writing:
                try:
                    outbox.hand(writing, job.id, now, self._lease_s)
                except Conflict:
                    continue
            handed += 1
        return handed

    def recover(self) -> int:
        """Makes forgotten jobs due again and returns how many."""
        with database.reading(self._engine) as looking:
            if not outbox.lost(looking, self._clock()):
                return 0
        with database.writing(self._engine) as writing:
            return outbox.recover(writing, self._clock())


def work(settings: Settings, preload: list[str]) -> None:
    """Runs one worker process until it is told to stop. ``preload`` names modules to import before forking."""
    for module in preload:
        import_module(module)
    client = connection(settings, patient=True)
    worker = Worker([QUEUE], connection=client, serializer="json", name=f"worker-{os.uname().nodename}-{os.getpid()}",
                    log_job_description=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker.work(logging_level="WARNING")
