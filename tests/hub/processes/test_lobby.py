"""The web server among slow and hostile callers: who has not asked yet costs no thread, and everybody else is served."""
import hashlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from sqlalchemy import select

import reading_ui
from hub.flow import devices
from hub.model.access import SYSTEM
from hub.storage.tables import door_count
from reading_ui import incoming, lobby, outgoing
from reading_ui.incoming import LONG, NOT_HTTP, SHORT, SILENT, TOO_LONG, WHOLE, Patient, judged
from reading_ui.lobby import Line, LobbyWorker, Turns
from reading_ui.outgoing import Outgoing, Purse
from tests.ecg.built_signals import built
from tests.ecg.cart import csv_of, kept_blobs
from tests.ports import free_port
from tests.reading_ui.house import opened

ROOT = Path(__file__).resolve().parents[3]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
THREADS = 4
PATIENT = "from reading_ui import lobby; lobby.PATIENCE_S = 600.0"      # no line of these tests is to be given up because the machine is slow
SHORT_ONE, LONG_ONE = (csv_of(built(seconds=seconds)).content for seconds in (1, 20))


@pytest.mark.parametrize("said, what", [
    (b"", SILENT), (b"G", SHORT), (b"GET / HTTP/1.1\r\nHost: hub\r\n", SHORT), (HEALTH, WHOLE), (HEALTH + b"GET /", WHOLE),
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", SHORT), (b"POST / HTTP/1.1\r\ncontent-LENGTH:5 \r\n\r\nabcd", SHORT),
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", WHOLE), (b"POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\nabcde", LONG),
    (b"POST / HTTP/1.1\r\nContent-Length: 9999999999999999999999\r\n\r\n", WHOLE),      # gunicorn says what is wrong with it
    (b"POST / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n", WHOLE), (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", LONG),
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", LONG), (b"GET /?" + b"a" * 70_000, TOO_LONG),
    (b"\x16\x03\x01\x02\x00", NOT_HTTP), (b"\x01\x00\x00\x00", NOT_HTTP), (b"get / HTTP/1.1", NOT_HTTP)], ids=lambda value: repr(value)[:50])
def test_what_was_said_so_far_amounts_to(said, what):
    assert judged(bytearray(said)) == what


def test_a_body_that_stops_ends_as_if_its_peer_had_hung_up():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, (0).to_bytes(8, "little") + (1000).to_bytes(8, "little"))
        theirs.sendall(b"abc")
        body = Patient(ours)
        assert (body.chunk(), body.gave_up) == (b"abc", False)
        assert (body.chunk(), body.gave_up) == (b"", True)


def test_a_body_that_dribbles_is_given_up_and_one_that_is_fast_enough_is_not(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(incoming, "monotonic", lambda: now[0])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = Patient(ours)
        for _ in range(20):                                    # 20 KB in 40 s: half the least, beyond what is granted first
            theirs.sendall(bytes(1000))
            body.chunk()
            now[0] += 2
        assert not body.gave_up
        for _ in range(50):
            theirs.sendall(bytes(1000))
            now[0] += 2
            if not body.chunk():
                break
        assert body.gave_up
        body = Patient(ours)
        for _ in range(300):
            theirs.sendall(bytes(2000))
            now[0] += 1
            assert body.chunk()


def test_a_crowd_of_requests_from_one_address_delays_itself():
    turns, lines = Turns(3), {name: SimpleNamespace(address=name[0]) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")}
    assert [turns.put(one) for one in lines.values()] == [True, True, True, False, True, True, True]
    served = [turns.next() for _ in range(7)]
    assert served == [lines[name] for name in ("a1", "b1", "c1", "a2", "b2", "a3")] + [None]
    assert turns.put(lines["a4"]) and turns.next() is lines["a4"]


@contextmanager
def tcp_pair(purse):
    """A line of the server and its peer, who has hardly any room for what is sent to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with Outgoing(accepted, purse) as line:
            yield line, peer


def test_an_answer_that_its_reader_does_not_take_is_kept_and_leaves_in_order():
    answer, purse = bytes(range(256)) * 8000, Purse(3_000_000)
    with tcp_pair(purse) as (line, peer):
        for start in range(0, len(answer), 100_000):
            line.sendall(answer[start:start + 100_000])               # returns though nobody reads
        assert 0 < line.owes <= len(answer)
        got = b""
        while len(got) < len(answer):
            line.drain()
            got += peer.recv(65536)
        assert got == answer and line.owes == 0
        assert purse.take(3_000_000), "all room is given back"


def test_what_is_more_than_may_be_kept_waits_for_its_reader():
    answer, got, purse = bytes(range(256)) * 50_000, [], Purse()
    with tcp_pair(purse) as (line, peer):
        def read() -> None:
            while sum(map(len, got)) < len(answer):
                got.append(peer.recv(1 << 20))
        reader = threading.Thread(target=read)
        most = 0
        for start in range(0, len(answer), 1 << 20):
            if line.owes > outgoing.MOST_OF_ONE - (2 << 20) and not reader.ident:
                reader.start()
            line.sendall(answer[start:start + (1 << 20)])
            most = max(most, line.owes)
        while line.owes:
            line.drain()
        reader.join(120)
        assert b"".join(got) == answer and outgoing.MOST_OF_ONE // 2 < most <= outgoing.MOST_OF_ONE


def test_who_reads_nothing_of_an_answer_is_given_up_and_the_room_is_given_back(monkeypatch):
    monkeypatch.setattr(outgoing, "DRAIN_S", 0.0)
    monkeypatch.setattr(outgoing, "LOOK_S", 0.01)
    purse = Purse(100_000)
    with tcp_pair(purse) as (line, _):
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                line.sendall(bytes(50_000))
        assert purse.is_short and not purse.take(100_000)
        line.close()
        assert purse.take(100_000)


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
    with tcp_pair(worker._purse) as (ours, peer):
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
    with tcp_pair(worker._purse) as (ours, peer):
        worker.nr_conns = 1
        worker._wait(Line(worker.cfg, ours, ("127.0.0.1", 1), None))
        peer.sendall(b"G")
        [(key, _)] = worker.poller.select(60)
        key.data(key.fileobj)
        assert worker.nr_conns == 0 and not peer.recv(1) and "ZeroDivisionError" in caplog.text


class Web:
    """``hub web`` in a process of its own, with few threads."""

    def __init__(self, hub, process: subprocess.Popen, port: int):
        self.hub, self.process, self.port = hub, process, port

    def line(self, said: bytes = b"", source: str = "127.0.0.1", room: int = 0) -> socket.socket:
        """A connection; ``room``: bytes that its system keeps for it of what it does not read."""
        made = socket.socket()
        made.settimeout(120)
        if room:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        made.bind((source, 0))
        made.connect(("127.0.0.1", self.port))
        made.sendall(said)
        return made

    @property
    def workers(self) -> str:
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()

    def serves(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=120) as answer:
            return answer.status == 200

    def counted(self) -> dict[str, int]:
        with self.hub.reading() as connection:
            return {row.reason: row.times for row in connection.execute(select(door_count))}

    def upload(self, token: str, body: bytes, source: str = "127.0.0.1", and_then=None) -> int:
        """The status of an ECG that is sent whole, or in two pieces with ``and_then`` called between them."""
        with self.line(_upload(token, len(body)), source) as line:
            line.sendall(body[:100])
            if and_then:
                and_then()
            line.sendall(body[100:])
            return _status(line)


def _upload(token: str, length: int, *fields: str) -> bytes:
    head = ("POST /api/ecg?rate_hz=500&unit=uV HTTP/1.1", "Host: hub", f"Authorization: Bearer {token}", "Content-Type: text/csv", f"Content-Length: {length}",
            *fields, "", "")
    return "\r\n".join(head).encode()


def _status(line: socket.socket) -> int:
    said = line.makefile("rb").readline()
    return int(said.split()[1]) if said else 0


def _waits(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        line.recv(1)
        return False                           # answered, or closed
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        line.settimeout(120)


def _until(condition) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


@contextmanager
def started(hub, folder):
    (folder / "sitecustomize.py").write_text(PATIENT)
    port = free_port()
    environment = dict(os.environ, HUB_DATA_DIR=hub.settings.data_dir, HUB_DATABASE_URL=hub.settings.database_url, HUB_FREE_SPACE_FLOOR_MB="0",
                       HUB_WEB_PORT=str(port), HUB_WEB_HOST="127.0.0.1", HUB_WEB_THREADS=str(THREADS), PYTHONPATH=os.pathsep.join((str(folder), str(ROOT))))
    process = subprocess.Popen([sys.executable, "-m", "hub", "web"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    web = Web(hub, process, port)
    try:
        def answers() -> bool:
            assert process.poll() is None, "the web server did not start"
            with suppress(OSError):
                return web.serves()
        _until(answers)
        yield web
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("lobby") / "county") as made:
        yield made


@pytest.fixture(scope="module")
def web(house, tmp_path_factory):
    with started(house.hub, tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="module")
def token(house):
    """Of an ECG cart."""
    return devices.register(house.hub, SYSTEM, site_id=house.county.sites["QS"], kind="ecg", name="cart")[1]


processes = pytest.mark.processes


@processes
@pytest.mark.parametrize("said", [b"", b"G", HEALTH[:-2], b"POST /login HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\nabc"],
                         ids=["silent", "begun", "no end of the head", "no end of a short body"])
def test_who_has_not_asked_holds_no_thread(web, said):
    with ExitStack() as lines:
        waiting = [lines.enter_context(web.line(said)) for _ in range(8 * THREADS)]
        assert all(web.serves() for _ in range(3))
        assert all(_waits(line) for line in waiting), "they were served while these went on waiting"


@processes
def test_long_uploads_that_stall_leave_threads_for_pages_short_uploads_and_other_addresses(web, token):
    assert len(SHORT_ONE) < incoming.SHORT_BODY < len(LONG_ONE)
    with ExitStack() as lines:
        stalled = [lines.enter_context(web.line(_upload(token, 1_000_000) + b"I,II\n")) for _ in range(8 * THREADS)]
        assert web.serves()
        assert web.upload(token, SHORT_ONE) == 201
        assert web.upload(token, LONG_ONE, source="127.0.0.2") == 201
        assert all(_waits(line) for line in stalled)
    _until(lambda: web.upload(token, LONG_ONE) == 200)      # theirs ended: the same one again, which is kept once


@processes
def test_of_more_long_uploads_than_may_wait_the_next_is_told_to_come_again(web, token):
    with ExitStack() as lines:
        stalled = [lines.enter_context(web.line(_upload(token, 1_000_000))) for _ in range(lobby.MOST_QUEUED + THREADS)]
        assert web.serves()
        with web.line(_upload(token, 1_000_000)) as late:
            answer = late.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 30\r\n" in answer
        assert _waits(stalled[0])
    _until(lambda: web.counted().get("web_busy", 0) >= 1)


@processes
def test_a_request_in_pieces_and_two_at_once_are_answered(web, token):
    with web.line() as line:
        for byte in HEALTH:
            line.sendall(bytes([byte]))
        assert _status(line) == 200
    with web.line(HEALTH + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as line:
        assert line.makefile("rb").read().count(b"HTTP/1.1 200 ") == 2
    for seconds in (1, 20):
        body = csv_of(built(seconds=seconds, seed=7)).content
        assert web.upload(token, body, and_then=web.serves) == 201
        assert hashlib.sha256(body).hexdigest() in kept_blobs(web.hub)


@processes
def test_a_cart_that_waits_to_be_asked_for_its_recording_is_asked(web, token):
    body = csv_of(built(seconds=1, seed=8)).content
    with web.line(_upload(token, len(body), "Expect: 100-continue")) as line:
        assert _status(line) == 100
        line.sendall(body)
        assert b"HTTP/1.1 201 " in line.makefile("rb").read(200)


@processes
@pytest.mark.parametrize("missing", [None, 0, 2, 1000, 120_000], ids=["its length announced", "between chunks", "at a chunk's end", "within a chunk", "in a chunk's head"])
def test_a_recording_that_breaks_off_is_answered_by_name(web, token, missing):
    """Also where all that came is a valid shorter table."""
    half = LONG_ONE[:LONG_ONE.index(b"\n", 100_000) + 1]
    head, body = _upload(token, len(LONG_ONE)), half
    if missing is not None:
        head = _upload(token, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        chunk = b"%x\r\n%s\r\n" % (len(half), half)
        body = chunk + (chunk[:-missing] if 0 < missing < len(half) else chunk[:4] if missing else b"")
    with web.line(head + body) as line:
        line.shutdown(socket.SHUT_WR)
        answer = line.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ") and b"broken_off" in answer


@processes
def test_what_is_not_a_request_is_turned_away_and_counted(web):
    with web.line(b"\x16\x03\x01\x02\x00\x01\x00") as line:
        assert not line.recv(1)
    with web.line(b"GET /?" + b"a" * incoming.LONGEST_HEAD) as line:      # six bytes too many
        with suppress(OSError):
            for _ in range(20):
                line.sendall(b"b" * 1000)                          # it goes on talking, and hears the answer all the same
        assert line.makefile("rb").readline() == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    _until(lambda: {"web_not_http", "web_too_long"} <= set(web.counted()))


@processes
def test_in_a_crowd_from_one_address_the_longest_waiting_makes_room(web):
    with ExitStack() as lines:
        other = lines.enter_context(web.line(source="127.0.0.2"))
        crowd = [lines.enter_context(web.line()) for _ in range(lobby.MOST_OF_ONE + 20)]
        assert web.serves()
        _until(lambda: not _waits(crowd[0]))
        assert _waits(crowd[-1]) and _waits(other)
    _until(lambda: web.counted().get("web_crowded_out", 0) >= 20)


@processes
def test_the_server_ends_though_lines_wait(house, tmp_path):
    with started(house.hub, tmp_path) as web, web.line(), web.line(HEALTH[:5]):
        web.process.send_signal(signal.SIGTERM)
        web.process.wait(120)


@processes
def test_open_worklists_leave_threads_for_everybody_else(web, house):
    """More readers' pages than there are threads: those beyond a third are told the mark and to ask again."""
    cookies = "; ".join(f"{one.key}={one.value}" for one in house.enter("chen").client._cookies.values())
    ask = f"GET /worklist/events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\r\n".encode()
    with ExitStack() as lines:
        said = [lines.enter_context(lines.enter_context(web.line(ask)).makefile("rb")) for _ in range(3 * THREADS)]
        for one in said:
            assert one.readline() == b"HTTP/1.1 200 OK\r\n"
        assert web.serves()
        retries = [next(word for word in one if word.startswith(b"retry: ")) for one in said]
        assert sorted(retries) == [b"retry: 1500\n"] + [b"retry: 5000\n"] * (3 * THREADS - 1)


@processes
def test_slow_readers_of_answers_hold_no_thread(web):
    """More of them than threads, each before answers that are larger than what the system keeps for it."""
    asset = max((Path(reading_ui.__file__).parent / "static" / "built").rglob("*.wasm"), key=lambda path: path.stat().st_size)
    ask = f"GET /static/{asset.relative_to(Path(reading_ui.__file__).parent / 'static')} HTTP/1.1\r\nHost: hub\r\n\r\n".encode()
    with ExitStack() as lines:
        slow = [lines.enter_context(web.line(4 * ask + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), room=4096)) for _ in range(4 * THREADS)]
        assert all(web.serves() for _ in range(3))
        for line in slow[:2]:
            assert line.makefile("rb").read().count(asset.read_bytes()) == 4
