"""What a worker does: one line per kind of job. Rooms that hub may not import are found by name.

Every handler is idempotent: a job may run again after a crash at any point.
"""
from __future__ import annotations

import logging
import os
from functools import lru_cache
from importlib import import_module
from threading import Event, Thread

from hub.context import Hub, open_hub
from hub.errors import Conflict, Permanent, words_of
from hub.flow import preparation
from hub.queue import outbox
from hub.settings import load

JOBS = {
    "prepare_ahead": "dicom_gateway.jobs:prepare_ahead",
    "prepare_images": "dicom_gateway.jobs:prepare_study",
    "prepare_ecg": "ecg.jobs:prepare_study",
    "identify": "hub.flow.identity:identify",
    "tell_older": "dicom_gateway.untold:tell_older",
    "identify_dicom": "dicom_gateway.identity:identify_study",
    "redraw_ecg": "ecg.jobs:redraw_sheets",
    "issue_letter": "hub.flow.dispatch:issue_letter",
    "deliver": "hub.flow.dispatch:deliver",
    "announce": "hub.flow.availability:announce",
    "call_back": "dicom_gateway.vouching:call_back",
    "ask_again": "dicom_gateway.asking:ask_again",
    "archive": "hub.flow.archiving:archive_study",
    "archive_again": "hub.flow.archiving:archive_again",
    "remove_bytes": "hub.flow.retention:remove_bytes",
    "remove_held_bytes": "hub.flow.discarded:remove_bytes",
}

GIVEN_UP = {       # a study that cannot be prepared reaches its reader all the same, and says so
    "prepare_images": preparation.give_up,
    "prepare_ecg": preparation.give_up,
}

log = logging.getLogger("hub.worker")


def modules() -> list[str]:
    """The modules that a worker imports before it begins."""
    return sorted({"hub.flow.jobs", *(place.split(":")[0] for place in JOBS.values())})


def run(job_id: int) -> None:
    """Runs one job in a worker process."""
    perform(_hub_of(os.getpid()), job_id)


def perform(hub: Hub, job_id: int) -> str:
    """Runs one job and records how it ended. Returns the job's state, "" when somebody else has it."""
    with hub.writing() as connection:
        job = outbox.begin(connection, job_id, hub.now(), hub.settings.job_lease_s)
    if job is None:
        return ""
    error = _attempt(hub, job)
    try:
        return _record(hub, job, error)
    except Conflict:
        log.warning("job %s %s took longer than its lease and was given to another worker", job.id, job.kind)
        return ""


def _attempt(hub: Hub, job) -> Exception | None:
    if job.tries > hub.settings.job_tries:
        return Permanent("worker_died", "任务多次使处理进程异常退出，已停止重试。", "the job ended its worker process each time; not tried again.")
    with _Heartbeat(hub, job.id):
        try:
            _handler(job.kind)(hub, **job.args)
        except Exception as raised:
            log.exception("job %s %s failed", job.id, job.kind)
            return raised
    return None


def _record(hub: Hub, job, error: Exception | None) -> str:
    words = words_of(error) if error is not None else ""
    last = error is not None and (isinstance(error, Permanent) or job.tries >= hub.settings.job_tries)
    if last and job.kind in GIVEN_UP:
        GIVEN_UP[job.kind](hub, **job.args)      # before the job is called failed: a crash between repeats it
    with hub.writing() as connection:
        if error is None:
            outbox.finish(connection, job.id, hub.now(), job.tries)
            return "done"
        if last:
            outbox.give_up(connection, job.id, hub.now(), job.tries, words)
            return "failed"
        outbox.retry(connection, job.id, hub.now(), job.tries, words)
        return "due"


def _handler(kind: str):
    module, name = JOBS[kind].split(":")
    return getattr(import_module(module), name)


@lru_cache(maxsize=1)
def _hub_of(_process: int) -> Hub:
    """One open hub per process; a forked worker opens its own."""
    return open_hub(load())


class _Heartbeat:
    """Keeps a long job's lease alive while it runs."""

    def __init__(self, hub: Hub, job_id: int):
        self._hub, self._job_id, self._over = hub, job_id, Event()
        self._thread = Thread(target=self._beat, daemon=True)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()

    def _beat(self):
        lease_s = self._hub.settings.job_lease_s
        while not self._over.wait(lease_s / 3):
            try:
                with self._hub.writing() as connection:
                    outbox.renew(connection, self._job_id, self._hub.now(), lease_s)
            except Exception:
                log.warning("the lease of job %s could not be renewed", self._job_id)
