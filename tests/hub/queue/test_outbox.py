"""The database is the truth about work: a lost Redis or worker loses nothing, a double run does no harm."""
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import ConnectionError

from hub.errors import Conflict, Permanent, Retryable
from hub.flow import administration, completion, jobs, preparation
from hub.queue import outbox
from hub.queue.runner import Dispatcher
from hub.storage.tables import job
from tests.conftest import with_settings
from tests.hub.arrivals import reading_of, rows, send_ct, study_row


def enqueue(hub, key="1", kind="deliver", **args) -> bool:
    with hub.writing() as connection:
        return outbox.enqueue(connection, hub.now(), kind, key, **args)


def the_job(hub):
    (row,) = rows(hub, job)
    return row


@pytest.fixture
def handler(monkeypatch):
    """What the job does, in the hand of the test."""
    class Handler:
        calls, faults = 0, []

        def __call__(self, hub, **args):
            self.calls += 1
            if self.faults and (fault := self.faults.pop(0)):
                raise fault

    one = Handler()
    monkeypatch.setattr(jobs, "_handler", lambda kind: one)
    return one


def test_a_job_stands_only_with_its_reason(hub):
    with pytest.raises(ZeroDivisionError), hub.writing() as connection:
        outbox.enqueue(connection, hub.now(), "deliver", "1")
        1 / 0
    assert rows(hub, job) == []


def test_the_same_work_is_ordered_once(hub):
    assert (enqueue(hub), enqueue(hub), enqueue(hub, "2")) == (True, False, True)


def test_a_job_is_run_once_by_however_many_workers(hub, handler):
    enqueue(hub)
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: jobs.perform(hub, the_job(hub).id), range(8)))
    assert sorted(ends) == [""] * 7 + ["done"] and handler.calls == 1


def test_a_failure_that_may_mend_is_tried_six_times_with_growing_pauses(hub, clock, handler):
    enqueue(hub)
    handler.faults = [Retryable("later", "稍后", "later")] * 6
    pauses = []
    for _ in range(6):
        state = jobs.perform(hub, the_job(hub).id)
        pauses.append((the_job(hub).due_at - clock.now).total_seconds())
        clock.now = max(clock.now, the_job(hub).due_at)
    assert state == "failed" == the_job(hub).state and pauses[:5] == [2, 10, 30, 120, 600]
    assert the_job(hub).tries == 6 and "later" in the_job(hub).error


def test_a_failure_for_good_is_not_tried_again(hub, handler):
    enqueue(hub)
    handler.faults = [Permanent("never", "无法", "never")]
    assert jobs.perform(hub, the_job(hub).id) == "failed" and handler.calls == 1


def test_the_job_of_a_vanished_worker_is_due_again_when_its_lease_ends(hub, clock):
    enqueue(hub)
    with hub.writing() as connection:
        outbox.begin(connection, the_job(hub).id, clock.now, 45)
    clock.forward(seconds=44)
    with hub.writing() as connection:
        assert outbox.recover(connection, clock.now) == 0
    clock.forward(seconds=2)
    with hub.writing() as connection:
        assert outbox.recover(connection, clock.now) == 1
    assert the_job(hub).state == "due"


def test_a_worker_that_lost_its_lease_cannot_end_the_job_of_the_next(hub, clock):
    enqueue(hub)
    job_id = the_job(hub).id
    with hub.writing() as connection:
        first = outbox.begin(connection, job_id, clock.now, 45)
    clock.forward(seconds=46)
    with hub.writing() as connection:
        outbox.recover(connection, clock.now)
        second = outbox.begin(connection, job_id, clock.now, 45)
    for verb in (lambda c: outbox.finish(c, job_id, clock.now, first.tries), lambda c: outbox.retry(c, job_id, clock.now, first.tries, "x"),
                 lambda c: outbox.give_up(c, job_id, clock.now, first.tries, "x")):
        with pytest.raises(Conflict), hub.writing() as connection:
            verb(connection)
    assert the_job(hub).state == "running"
    with hub.writing() as connection:
        outbox.finish(connection, job_id, clock.now, second.tries)
    assert the_job(hub).state == "done"


def test_a_renewed_lease_is_not_taken_away(hub, clock):
    enqueue(hub)
    with hub.writing() as connection:
        outbox.begin(connection, the_job(hub).id, clock.now, 45)
    for _ in range(5):
        clock.forward(seconds=40)
        with hub.writing() as connection:
            outbox.renew(connection, the_job(hub).id, clock.now, 45)
            assert outbox.recover(connection, clock.now) == 0


def test_a_job_that_kills_its_worker_every_time_is_given_up(hub, clock, handler):
    enqueue(hub)
    for _ in range(hub.settings.job_tries):
        with hub.writing() as connection:
            outbox.begin(connection, the_job(hub).id, clock.now, 45)
        clock.forward(seconds=46)
        with hub.writing() as connection:
            outbox.recover(connection, clock.now)
    assert jobs.perform(hub, the_job(hub).id) == "failed" and handler.calls == 0
    assert "worker_died" in the_job(hub).error


def test_a_study_whose_preparation_fails_for_good_reaches_its_reader(hub, county, clock, handler):
    study_id = send_ct(hub, county.ct)
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    preparation.begin(hub, study_id, 1)
    handler.faults = [Permanent("broken", "坏了", "broken")]
    [order] = [row.id for row in rows(hub, job) if row.kind == "prepare_images"]
    assert jobs.perform(hub, order) == "failed"
    assert study_row(hub, study_id).state == "ready" and reading_of(hub, study_id).state == "queued"


class FakeQueue:
    """Redis as the dispatcher sees it: takes what it is given, or is away."""

    def __init__(self):
        self.away, self.taken = False, []

    def enqueue_call(self, _function, args, **_):
        if self.away:
            raise ConnectionError("away")
        self.taken += args


@pytest.fixture
def dispatcher(hub):
    one = Dispatcher(hub.settings, hub.engine, hub.clock)
    one._queue = FakeQueue()
    return one


def test_while_redis_is_away_jobs_wait_in_the_database(hub, dispatcher):
    dispatcher._queue.away = True
    enqueue(hub)
    assert dispatcher.hand_over() == 0 and the_job(hub).state == "due"
    dispatcher._queue.away = False
    assert dispatcher.hand_over() == 1 and the_job(hub).state == "handed"
    assert dispatcher.hand_over() == 0, "handed over once"


def test_what_a_lost_redis_had_taken_is_handed_over_again(hub, clock, dispatcher):
    enqueue(hub)
    dispatcher.hand_over()
    dispatcher._queue.taken.clear()      # its disk is gone
    clock.forward(seconds=46)
    assert (dispatcher.recover(), dispatcher.hand_over()) == (1, 1)
    assert dispatcher._queue.taken == [the_job(hub).id]


def test_a_job_that_ran_before_it_was_marked_as_handed_is_left_alone(hub, dispatcher, handler, monkeypatch):
    enqueue(hub)
    take = dispatcher._queue.enqueue_call
    monkeypatch.setattr(dispatcher._queue, "enqueue_call", lambda *a, args, **k: (take(*a, args=args, **k), jobs.perform(hub, args[0])))
    dispatcher.hand_over()
    assert the_job(hub).state == "done"


def test_a_job_is_not_due_before_its_time(hub, clock, dispatcher):
    with hub.writing() as connection:
        outbox.enqueue(connection, clock.now, "deliver", "1", clock.now.replace(hour=23))
    assert dispatcher.hand_over() == 0


def test_the_administrator_sees_failed_jobs_and_lets_them_run_again(hub, county, handler):
    enqueue(hub)
    handler.faults = [Permanent("never", "无法", "never")]
    jobs.perform(hub, the_job(hub).id)
    assert [row.id for row in administration.failed_jobs(hub, county.administrator)] == [the_job(hub).id]
    administration.redo_job(hub, county.administrator, the_job(hub).id)
    assert jobs.perform(hub, the_job(hub).id) == "done"


def test_one_try_is_enough_where_the_settings_say_so(hub, handler):
    enqueue(hub)
    handler.faults = [Retryable("later", "稍后", "later")]
    assert jobs.perform(with_settings(hub, job_tries=1), the_job(hub).id) == "failed"
