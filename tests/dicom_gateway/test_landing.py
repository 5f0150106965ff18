"""Objects that wait to be made to last: each is answered once, and a fault is its own."""
from threading import Lock

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
    landing = Landing(enter)
    for one in objects:
        landing.bring(one)
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
