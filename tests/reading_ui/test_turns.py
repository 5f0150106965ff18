"""The web's worker without a process of its own: whose turn it is, and news of lines that have gone."""
import os
import selectors
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from reading_ui import lobby
from reading_ui.lobby import LobbyWorker
from reading_ui.turns import Line, Turns
from tests.reading_ui.lines import tcp_pair

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"


def test_a_crowd_of_requests_from_one_address_delays_itself():
    turns, lines = Turns(3), {name: SimpleNamespace(address=name[0], answer=None) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")}
    assert [turns.put(one) for one in lines.values()] == [True, True, True, False, True, True, True]
    served = [turns.next() for _ in range(7)]
    assert served == [lines[name] for name in ("a1", "b1", "c1", "a2", "b2", "a3")] + [None]
    assert turns.put(lines["a4"]) and turns.next() is lines["a4"]
    begun = SimpleNamespace(address="a", answer="half of it is there")
    assert [turns.put(one) for one in (lines["a1"], lines["a2"], lines["a3"], begun, lines["a4"])] == [True, True, True, True, False]


@pytest.fixture
def worker():
    """The worker without a process of its own; its loop is not run."""
    made = LobbyWorker(1, os.getpid(), [], None, 30, Config(), None)
    made.poller = selectors.DefaultSelector()
    yield made
    made.poller.close()
    made.tmp.close()


@pytest.mark.parametrize("said", [b"", HEALTH[:5], b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"], ids=["silent", "begun", "no end of a short body"])
def test_news_of_a_line_that_has_made_room_is_no_news(worker, said):
    """One look of the loop may tell of both: of the newest, who is let in, and of the one that makes room for it."""
    with tcp_pair() as (ours, peer):
        line = Line(worker.cfg, ours, ("127.0.0.1", 1), None)
        worker.nr_conns = 1
        worker._wait(line)
        peer.sendall(said)
        if said:
            [(key, _)] = worker.poller.select(60)
            key.data(key.fileobj)
            assert line.said == said
        peer.sendall(b"c")
        [(key, _)] = worker.poller.select(60)
        worker._close(line)
        key.data(key.fileobj)
        assert worker.nr_conns == 0 and line.said == said


def test_a_fault_over_one_line_ends_that_line_alone(worker, monkeypatch, caplog):
    monkeypatch.setattr(lobby, "judged", lambda said: 1 / 0)
    with tcp_pair() as (ours, peer):
        worker.nr_conns = 1
        worker._wait(Line(worker.cfg, ours, ("127.0.0.1", 1), None))
        peer.sendall(b"G")
        [(key, _)] = worker.poller.select(60)
        key.data(key.fileobj)
        assert worker.nr_conns == 0 and not peer.recv(1) and "ZeroDivisionError" in caplog.text


def test_addresses_behind_a_proxy_take_turns(worker):
    """Each with requests of its own, all over connections of the proxy."""
    worker._hops, worker._busy = 1, worker.cfg.threads
    lines = []
    with ExitStack() as opened:
        for address in ("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"):
            ours, _ = opened.enter_context(tcp_pair())
            lines.append(Line(worker.cfg, ours, ("127.0.0.1", 1), None))
            worker._wait(lines[-1])
            lines[-1].said += f"GET / HTTP/1.1\r\nX-Forwarded-For: {address}\r\n\r\n".encode()
            worker._judge(lines[-1])
        assert [worker._ready.next() for _ in lines] == [lines[0], lines[3], lines[1], lines[2]]
