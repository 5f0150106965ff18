"""An association that the hub opens: while a request waits for its answer, nobody else takes the answer away."""
import threading
import time

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.sop_class import Verification

from dicom_gateway import requesting
from dicom_gateway.resting import Pause
from tests.dicom_gateway.running import SENDER

ECHO = (Verification, ExplicitVRLittleEndian)


class SlowPause(Pause):
    """The thread that passes is held up right behind the gate, as a busy machine may do at any moment."""

    def wait(self):
        super().wait()
        time.sleep(0.02)


def answered(gateway, times: int) -> int:
    association = gateway.associate(ECHO, calling=SENDER)
    assert association.is_established
    association.dimse_timeout = 2
    count = sum(association.send_c_echo().get("Status") == 0 for _ in range(times) if association.is_established)
    if association.is_established:
        association.release()
    return count


def test_every_answer_reaches_its_request_however_the_threads_are_held_up(gateway, monkeypatch):
    monkeypatch.setattr(requesting, "Pause", SlowPause)
    assert answered(gateway, 25) == 25


def test_nobody_waits_for_ever_for_a_pause_that_another_thread_has_denied(gateway):
    """pynetdicom serves a peer's report in a thread of its own, which says in the end that the association's thread does not rest."""
    association = gateway.associate(ECHO, calling=SENDER)
    assert association.send_c_echo().Status == 0x0000      # its thread is at work
    association._reactor_checkpoint.clear()
    association._is_paused, statuses = False, []
    asking = threading.Thread(target=lambda: statuses.append(association.send_c_echo().Status), daemon=True)
    asking.start()
    asking.join(30)
    assert statuses == [0x0000]
    association.release()


def test_whoever_closes_the_gate_waits_for_the_one_behind_it():
    gate, steps, over = Pause(), [], threading.Event()

    def pass_again_and_again():
        while not over.is_set():
            gate.wait()
            steps.append("behind")
            time.sleep(0.005)
            steps.append("back")

    passing = threading.Thread(target=pass_again_and_again, daemon=True)
    passing.start()
    for _ in range(20):
        time.sleep(0.003)
        gate.clear()
        assert not steps or steps[-1] == "back"
        gate.set()
    over.set()
    passing.join(5)
    gate.wait()
    gate.clear()            # by the one behind it: no waiting for itself
