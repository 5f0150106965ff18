"""The scheduler's round: everything in its turn, and what is ordered is handed over at once."""
from threading import Event, Thread

from hub.flow import schedule

GENEROUS_S = 60
NEVER_AGAIN_S = 3600


def run(monkeypatch, hub, table, stop: Event) -> None:
    """Runs the scheduler on ``table`` until somebody sets ``stop``."""
    monkeypatch.setattr(schedule, "sweeps", lambda _hub: table)
    thread = Thread(target=schedule.run_forever, args=(hub, stop))
    thread.start()
    assert stop.wait(GENEROUS_S)
    thread.join(GENEROUS_S)
    assert not thread.is_alive()


def test_what_a_sweep_orders_is_handed_over_in_the_same_round(monkeypatch, hub):
    told, stop = [], Event()

    def close() -> int:
        told.append("looked")
        return int(told.count("looked") == 3)          # something to do in the third round only

    def hand_over() -> int:
        told.append("handed over")
        if told.count("looked") >= 3:
            stop.set()
        return 0

    run(monkeypatch, hub, [(0, "close", close), (NEVER_AGAIN_S, schedule.HAND_OVER, hand_over)], stop)
    assert told[:5] == ["looked", "handed over", "looked", "looked", "handed over"]


def test_a_sweep_that_fails_stops_no_other(monkeypatch, hub):
    told, stop = [], Event()

    def fail():
        told.append("failed")
        if len(told) > 3:
            stop.set()
        raise RuntimeError("broken")

    run(monkeypatch, hub, [(0, "broken", fail), (0, schedule.HAND_OVER, lambda: told.append("handed over"))], stop)
    assert told[:4] == ["failed", "handed over", "failed", "handed over"]
