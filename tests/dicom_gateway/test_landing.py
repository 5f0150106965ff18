"""Objects that wait to be made to last: each is answered once, and a fault is its own."""
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Thread, get_ident

import pytest

from dicom_gateway.landing import Landing
from dicom_gateway.status import PROCESSING_FAILURE


class Object:
    """Notes the steps that were taken with it."""

    def __init__(self):
        self.steps, self.outcome, self.answers = [], None, []

    def place(self):
        self.steps.append("place")

    def settle(self):
        self.steps.append("settle")

    def fail(self, status, comment):
        self.outcome = self.outcome or (status, comment)

    def answer(self):
        self.answers.append(self.outcome)


def land(objects, enter):
    """As associations bring them, eight at once."""
    landing = Landing(enter)
    with ThreadPoolExecutor(8) as associations:
        for _ in associations.map(landing.bring, objects):
            pass
    landing.close()


def test_name_then_bytes_then_row_then_answer_for_everybody():
    entered, lock = [], Lock()

    def enter(batch):
        with lock:
            entered.extend(batch)
        for one in batch:
            assert one.steps == ["place", "settle"] and one.answers == []
            one.outcome = (0, "")

    objects = [Object() for _ in range(100)]
    land(objects, enter)
    assert len(entered) == len(objects) and all(one.answers == [(0, "")] for one in objects)


@pytest.mark.parametrize("step", ["place", "settle", "enter", "answer"])
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unexpected_fault_leaves_nobody_without_an_answer_and_no_thread_dead(step):
    def broken(*_):
        raise RuntimeError("planted")

    def enter(batch):
        if step == "enter":
            broken()
        for one in batch:
            one.outcome = (0, "")

    objects = [Object() for _ in range(40)]
    if step != "enter":
        setattr(objects[3], step, broken)
    land(objects, enter)
    for number, one in enumerate(objects):
        if step != "answer" or number != 3:
            assert one.answers in ([(0, "")], [(PROCESSING_FAILURE, "unexpected fault, see the gateway's log")])


def test_a_lone_object_is_landed_by_who_brings_it_and_those_that_come_meanwhile_are_left_to_the_threads():
    landing_of, entered, may_go = {}, Event(), Event()

    def enter(batch):
        for one in batch:
            landing_of[one] = get_ident()
        if one is lone:
            entered.set()
            may_go.wait(60)

    lone, other = Object(), Object()
    landing = Landing(enter)
    bringing = Thread(target=landing.bring, args=(lone,))
    bringing.start()
    assert entered.wait(60)
    landing.bring(other)                                 # returns, while the lone one is not answered yet
    assert lone.answers == []
    closing = Thread(target=landing.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive(), "closed before all were answered"
    may_go.set()
    closing.join(60)
    bringing.join(60)
    assert landing_of[lone] == bringing.ident and landing_of[other] not in (bringing.ident, get_ident())
    assert len(lone.answers) == len(other.answers) == 1
