"""An association that the hub opens: while a request waits for its answer, nobody else takes the answer away."""
import threading
import time

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from dicom_gateway import requesting
from dicom_gateway.requesting import REQUESTING
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
    association.dimse_timeout = 20         # of an answer that was taken away: only then is it waited for
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
    asking.join(120)
    assert statuses == [0x0000]
    association.release()


def test_a_refusal_that_has_come_and_gone_before_anybody_looks_is_a_refusal(gateway):
    """pynetdicom asks whether the connection stands once it was opened: by then the peer may have refused and closed it."""
    class Late:
        """The event that the connection was opened, seen when the refusal is there and the connection closed."""

        def __init__(self, association):
            self.association, self.opened = association, association.dul.socket._ready

        def set(self):
            self.opened.set()

        def wait(self):
            self.opened.wait()
            until = time.monotonic() + 120
            while self.association.dul.socket._is_connected or self.association.dul.peek_next_pdu() is None:
                assert time.monotonic() < until
                time.sleep(0.01)

    def asked(event):
        event.assoc.dul.socket._ready = Late(event.assoc)

    entity = AE(ae_title="STRANGER")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", gateway.port, ae_title="HUB", evt_handlers=[*REQUESTING, (evt.EVT_REQUESTED, asked)])
    assert association.is_rejected and not association.is_aborted and not association.is_established
    assert (association.acceptor.primitive.result, association.acceptor.primitive.diagnostic) == (1, 3)
    association.dul.join(120)
    assert not association.dul.is_alive()


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
    passing.join(120)
    gate.wait()
    gate.clear()            # by the one behind it: no waiting for itself
