"""The web server among slow and hostile callers: who has not asked yet costs no thread, and everybody else is served."""
import errno
import hashlib
import json
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
from http.client import HTTPResponse
from pathlib import Path
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from sqlalchemy import select

import reading_ui
from hub.flow import devices
from hub.model.access import SYSTEM
from hub.storage.tables import door_count
from reading_ui import incoming, lobby, outgoing, spool
from reading_ui.incoming import LONG, NOT_HTTP, SHORT, SILENT, TOO_LONG, WHOLE, Ending, Patient, forwarded, judged
from reading_ui.lobby import LobbyWorker
from reading_ui.outgoing import Answer, Outgoing
from reading_ui.spool import Spool
from reading_ui.turns import Line, Turns
from tests.ecg.built_signals import built
from tests.ecg.cart import csv_of, kept_blobs
from tests.ports import free_port
from tests.reading_ui.house import opened

ROOT = Path(__file__).resolve().parents[3]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
THREADS = 4
PATIENT = "from reading_ui import incoming, lobby, spool; incoming.PATIENCE_S = lobby.PATIENCE_S = spool.PATIENCE_S = 600.0"      # no line of these tests is to be given up because the machine is slow
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
    turns, lines = Turns(3), {name: SimpleNamespace(address=name[0], answer=None) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")}
    assert [turns.put(one) for one in lines.values()] == [True, True, True, False, True, True, True]
    served = [turns.next() for _ in range(7)]
    assert served == [lines[name] for name in ("a1", "b1", "c1", "a2", "b2", "a3")] + [None]
    assert turns.put(lines["a4"]) and turns.next() is lines["a4"]
    begun = SimpleNamespace(address="a", answer="half of it is there")
    assert [turns.put(one) for one in (lines["a1"], lines["a2"], lines["a3"], begun, lines["a4"])] == [True, True, True, True, False]


@pytest.mark.parametrize("head, body", [
    ("Content-Length: 5", b"abcde"), ("Content-Length: 0", b""), ("Expect: 100-continue", b""),
    ("Transfer-Encoding: chunked", b"3\r\nabc\r\nA;x=\"y\"\r\n0123\r\n0\r\n\r\n0\r\nTrailer: 1\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 2", b"3\nabc\n0\n\n"), ("Transfer-Encoding: chunked", b"no size\r\n")], ids=lambda value: repr(value)[:40])
def test_where_a_body_ends_is_seen_however_it_comes(head, body):
    at_once, by_byte = (Ending(f"POST / HTTP/1.1\r\n{head}\r\n\r\n".encode()) for _ in range(2))
    at_once.hear(body + b"POST")
    for place in range(len(body)):
        assert not by_byte.is_there, place
        by_byte.hear(body[place:place + 1])
    assert at_once.is_there and by_byte.is_there


@pytest.mark.parametrize("fields, hops, address", [
    ("X-Forwarded-For: 10.1.2.3", 0, ""), ("X-Forwarded-For: 10.1.2.3", 1, "10.1.2.3"), ("x-forwarded-for: 9.9.9.9, 10.1.2.3", 1, "10.1.2.3"),
    ("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 10.1.2.3 , 10.0.0.1", 2, "10.1.2.3"), ("X-Forwarded-For: 10.1.2.3", 2, ""), ("X: 10.1.2.3", 1, "")])
def test_a_proxy_says_for_whom_it_asks_and_nobody_says_more_than_it_does(fields, hops, address):
    assert forwarded(bytearray(f"GET / HTTP/1.1\r\n{fields}\r\n\r\nX-Forwarded-For: 7.7.7.7\r\n\r\n".encode()), hops) == address


@contextmanager
def tcp_pair():
    """A line of the server and its peer, who has hardly any room for what is sent to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with Outgoing(accepted) as line:
            yield line, peer


def test_what_a_reader_does_not_take_is_kept_and_leaves_in_order():
    answer = bytes(range(256)) * 8000
    with tcp_pair() as (line, peer):
        for start in range(0, len(answer), 100_000):
            line.sendall(answer[start:start + 100_000])               # returns though nobody reads
        assert 0 < line.owes <= len(answer)
        got = b""
        while len(got) < len(answer):
            line.drain()
            got += peer.recv(65536)
        assert got == answer and line.owes == 0


class Pieces:
    """What an application hands over to be sent, and how much of it was asked for."""

    def __init__(self, *pieces):
        self.left, self.asked, self.closed = list(pieces), 0, False

    def __iter__(self):
        while self.left:
            self.asked += len(self.left[0])
            yield self.left.pop(0)

    def close(self):
        self.closed = True


@pytest.mark.parametrize("sizes", [[20_000_000], [1 << 20] * 20, [8192] * 2500, [100, 3_000_000, 0, 3_000_000, 100]], ids=["one piece", "of a file", "of a page", "both"])
def test_of_an_answer_of_any_size_little_is_held_while_nobody_reads(tmp_path, sizes):
    pieces = [bytes([65 + place % 26]) * size for place, size in enumerate(sizes)]
    whole, handed, got = b"".join(pieces), Pieces(*pieces), bytearray()
    del pieces
    with tcp_pair() as (line, peer):
        answer = Answer(SimpleNamespace(write=line.sendall, close=lambda: None), handed, line, tmp_path)
        while not answer.is_given:
            answer.give()                                           # returns though nobody reads
            assert line.owes <= outgoing.ENOUGH + outgoing.SLICE
            assert handed.asked <= len(got) + 2 * max(sizes) + (8 << 20), "no more was made than the reader is near to"
            if len(sizes) == 1:
                assert handed.closed and not handed.left, "a file has the rest, and the application none of it"
            while line.owes:
                got += peer.recv(1 << 20)
                line.drain()
        answer.close()
        assert handed.closed and not list(tmp_path.iterdir())
        line.shutdown(socket.SHUT_WR)
        while more := peer.recv(1 << 20):
            got += more
        assert got == whole


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

    @property
    def memory_mb(self) -> float:
        """Resident, of the process that serves."""
        return int(Path(f"/proc/{self.workers.split()[0]}/statm").read_text().split()[1]) * 4096 / 1e6

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
def started(hub, folder, words=""):
    """``words``: what is changed in the server before it starts."""
    (folder / "sitecustomize.py").write_text(PATIENT + "\n" + words)
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
        stalled = [lines.enter_context(web.line(_upload(token, 1_000_000))) for _ in range(spool.MOST_OF_ADDRESS)]
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


@processes
def test_slow_readers_of_answers_of_any_size_hold_neither_threads_nor_memory(web, house, token):
    content = os.urandom(20_000_000)
    with web.line(_upload(token, len(content)) + content) as line:
        answer = HTTPResponse(line)
        answer.begin()
        held = json.loads(answer.read())["held"]
    cookies = "; ".join(f"{one.key}={one.value}" for one in house.admin.client._cookies.values())
    ask = f"GET /held/{held}/files/0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookies}\r\n\r\n".encode()
    before = web.memory_mb
    with ExitStack() as lines:
        slow = [lines.enter_context(web.line(ask, room=4096)) for _ in range(6 * THREADS)]
        for line in slow:
            assert line.recv(1), "it is answered, though those before it have not read theirs"
        assert all(web.serves() for _ in range(3))
        assert web.upload(token, csv_of(built(seconds=20, seed=21)).content) == 201
        assert web.memory_mb - before < len(slow) * 2, "a fraction of what they were promised"
        for line in slow[:2]:
            assert line.makefile("rb").read().endswith(b"\r\n\r\n" + content)


@processes
def test_slow_uploads_from_many_addresses_keep_no_recording_waiting(web, token):
    bodies = [csv_of(built(seconds=20, seed=seed)).content for seed in (31, 32, 33)]
    folder, lies = Path(web.hub.settings.folder), lambda: sorted(path.name for path in folder.iterdir() if "sqlite" not in path.name)
    before = lies()
    with ExitStack() as lines:
        slow = [lines.enter_context(web.line(_upload(token, len(bodies[0])), source=f"127.0.1.{number}")) for number in range(1, 8 * THREADS + 1)]
        for line in slow:
            line.sendall(bodies[0][:100_000])
        assert web.serves()
        assert web.upload(token, bodies[1], source="127.0.2.1", and_then=web.serves) == 201
        assert all(_waits(line) for line in slow)
        assert lies() == before, "what has come of them has no name, and nothing outlives the process"
        slow[0].sendall(bodies[0][100_000:])
        assert _status(slow[0]) == 201
    assert hashlib.sha256(bodies[0]).hexdigest() in kept_blobs(web.hub)


@processes
@pytest.mark.parametrize("expects", [False, True], ids=["", "that waits to be asked"])
@pytest.mark.parametrize("path, bearer, kind, length, answer", [
    ("/api/ecg", "nobody", "text/csv", 10_000_000, b"401 "), ("/api/ecg", None, "text/csv", 10**9, b"413 "),
    ("/dicomweb/studies", "nobody", "multipart/related; type=application/dicom; boundary=x", 10_000_000, b"401 "), ("/dicomweb/studies", None, "text/plain", 10_000_000, b"415 ")])
def test_a_door_refuses_before_the_body_is_sent(web, token, path, bearer, kind, length, answer, expects):
    head = [f"POST {path} HTTP/1.1", "Host: hub", f"Authorization: Bearer {bearer or token}", f"Content-Type: {kind}", f"Content-Length: {length}",
            *(["Expect: 100-continue"] if expects else []), "", ""]
    with web.line("\r\n".join(head).encode()) as line:
        said = line.makefile("rb").read()
    assert said.startswith(b"HTTP/1.1 " + answer) and said.count(b"HTTP/1.1") == 1, said[:300]


@processes
@pytest.mark.parametrize("words", ["spool.MOST_OF_ONE = 100_000", "def full(**named): raise OSError(28, 'No space left on device')\nspool.TemporaryFile = full"],
                         ids=["more than may lie there", "no file"])
def test_a_recording_that_finds_no_room_before_its_thread_is_read_by_it(house, token, tmp_path, words):
    with started(house.hub, tmp_path, words) as web:
        for is_chunked in (False, True):
            body = csv_of(built(seconds=20, seed=50 + len(words) + is_chunked)).content
            head, sent = _upload(token, len(body)), body
            if is_chunked:
                head = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
                sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:99_999], body[99_999:])) + b"0\r\n\r\n"
            with web.line(head + sent[:90_000]) as line:
                line.sendall(sent[90_000:])
                assert _status(line) == 201
            assert hashlib.sha256(body).hexdigest() in kept_blobs(web.hub)


def _arriving(lines: ExitStack, spooled: Spool, address: str, told: list):
    ours, theirs = socket.socketpair()
    lines.enter_context(ours)
    lines.enter_context(theirs)
    return theirs if spooled.enter(ours, address, Ending(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"), told.append) else None


def test_of_too_many_bodies_the_slowest_that_has_had_its_time_makes_room(monkeypatch, tmp_path):
    monkeypatch.setattr(spool, "MOST_BODIES", 3)
    monkeypatch.setattr(spool, "MOST_OF_ADDRESS", 2)
    told, spooled = [], Spool(tmp_path)
    with ExitStack() as lines:
        quick, slow, other = (_arriving(lines, spooled, address, told) for address in ("a", "a", "b"))
        assert _arriving(lines, spooled, "a", told) is None and _arriving(lines, spooled, "c", told) is None, "nobody has had time yet"
        quick.sendall(bytes(50_000))
        slow.sendall(bytes(40_000))
        other.sendall(bytes(35_000))
        _until(lambda: sorted(one.count for one in spooled._arriving) == [35_000, 40_000, 50_000])
        for one in spooled._arriving:
            one.since -= incoming.PATIENCE_S + 1
        assert _arriving(lines, spooled, "a", told)
        _until(lambda: told)
        assert told[0].is_crowded_out and told[0].count == 40_000, "of its own address"
        assert _arriving(lines, spooled, "c", told)
        _until(lambda: len(told) == 2)
        assert told[1].is_crowded_out and told[1].count == 35_000, "of all"
        quick.sendall(bytes(50_000))
        _until(lambda: len(told) == 3)
        assert told[2].ending.is_there and told[2].read() == bytes(100_000)
        for one in told:
            spooled.close(one)
        assert spooled._total == 0


@pytest.mark.parametrize("ending", ["it stops", "it dribbles", "it goes"])
def test_a_body_that_ends_too_soon_ends_for_its_thread_too(monkeypatch, tmp_path, ending):
    told, spooled = [], Spool(tmp_path)
    with ExitStack() as lines:
        theirs = _arriving(lines, spooled, "a", told)
        theirs.sendall(bytes(20_000))
        _until(lambda: sum(one.count for one in spooled._arriving) == 20_000)
        [one] = spooled._arriving
        if ending == "it stops":
            one.heard_at -= incoming.PATIENCE_S + 1
        elif ending == "it dribbles":
            one.since -= incoming.PATIENCE_S + 21
        else:
            theirs.close()
        _until(lambda: told)
        assert told == [one] and one.is_late == (ending != "it goes")
        reader = Patient(one.line, one)
        reader.gave_up = one.is_late
        assert b"".join(iter(reader.chunk, b"")) == bytes(20_000)


class Full:
    """A file on a disk that takes no more than so many bytes."""

    def __init__(self, folder, room: int):
        self.file, self.room = open(folder / "file", "w+b", buffering=0), room
        self.read, self.seek, self.close = self.file.read, self.file.seek, self.file.close

    def write(self, data) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(data[:self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("name, value", [("MOST_OF_ONE", 30_000), ("MOST_IN_ALL", 30_000), ("TemporaryFile", None)], ids=["of one", "in all", "on the disk"])
def test_a_body_that_finds_no_more_room_is_read_from_its_line_and_no_byte_is_lost(monkeypatch, tmp_path, name, value):
    monkeypatch.setattr(spool, name, value or (lambda **named: Full(tmp_path, 30_000)))
    told, spooled, body = [], Spool(tmp_path), os.urandom(100_000)
    with ExitStack() as lines:
        theirs = _arriving(lines, spooled, "a", told)
        theirs.sendall(body)
        theirs.close()
        _until(lambda: told)
        [one] = told
        assert one.is_cut and one.count == 30_000
        one.line.setblocking(True)
        assert b"".join(iter(Patient(one.line, one).chunk, b"")) == body
        spooled.close(one)
        assert spooled._total == 0


def test_a_fault_over_one_body_ends_that_body_alone(monkeypatch, tmp_path, caplog):
    told, spooled = [], Spool(tmp_path)
    with ExitStack() as lines:
        monkeypatch.setattr(spool, "TemporaryFile", lambda **named: 1 / 0)
        _arriving(lines, spooled, "a", told).sendall(b"a")
        _until(lambda: told)
        assert told[0].is_late and "ZeroDivisionError" in caplog.text
        monkeypatch.undo()
        _arriving(lines, spooled, "a", told).sendall(bytes(100_000))
        _until(lambda: len(told) == 2)
        assert told[1].ending.is_there
