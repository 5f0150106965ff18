"""The web server among slow and hostile callers: who has not asked yet costs no thread, and everybody else is served."""
import hashlib
import json
import os
import signal
import socket
from contextlib import ExitStack, suppress
from http.client import HTTPResponse
from pathlib import Path
from select import select

import pytest

import reading_ui
from hub.flow import devices
from hub.model.access import SYSTEM
from reading_ui import incoming, lobby, spool
from tests.ecg.built_signals import built
from tests.ecg.cart import csv_of, kept_blobs
from tests.hub.processes.web import HEALTH, THREADS, started, status_of, until, upload_head, waits
from tests.reading_ui.house import opened

SHORT_ONE, LONG_ONE = (csv_of(built(seconds=seconds)).content for seconds in (1, 20))


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
        assert all(waits(line) for line in waiting), "they were served while these went on waiting"


@processes
def test_long_uploads_that_stall_leave_threads_for_pages_short_uploads_and_other_addresses(web, token):
    assert len(SHORT_ONE) < incoming.SHORT_BODY < len(LONG_ONE)
    with ExitStack() as lines:
        stalled = [lines.enter_context(web.line(upload_head(token, 1_000_000) + b"I,II\n")) for _ in range(8 * THREADS)]
        assert web.serves()
        assert web.upload(token, SHORT_ONE) == 201
        assert web.upload(token, LONG_ONE, source="127.0.0.2") == 201
        assert all(waits(line) for line in stalled)
    until(lambda: web.upload(token, LONG_ONE) == 200)      # theirs ended: the same one again, which is kept once


@processes
def test_of_more_long_uploads_than_may_arrive_one_that_stalls_is_told_to_come_again(web, token):
    with ExitStack() as lines:
        stalled = [lines.enter_context(web.line(upload_head(token, 1_000_000) + bytes(100))) for _ in range(spool.MOST_OF_ADDRESS + 1)]
        assert web.upload(token, csv_of(built(seconds=20, seed=41)).content) == 201
        sent_away, _, _ = select(stalled, [], [], 120)
        assert sent_away
        for line in sent_away:
            answer = line.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 30\r\n" in answer
        waiting = [line for line in stalled if line not in sent_away and waits(line)]
        assert len(waiting) >= spool.MOST_OF_ADDRESS - 1, "one goes for the last of them, and one for the upload if that came after it"
    until(lambda: web.counted().get("web_busy", 0) >= 1)


@processes
def test_a_request_in_pieces_and_two_at_once_are_answered(web, token):
    with web.line() as line:
        for byte in HEALTH:
            line.sendall(bytes([byte]))
        assert status_of(line) == 200
    with web.line(HEALTH + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as line:
        assert line.makefile("rb").read().count(b"HTTP/1.1 200 ") == 2
    for seconds in (1, 20):
        body = csv_of(built(seconds=seconds, seed=7)).content
        assert web.upload(token, body, and_then=web.serves) == 201
        assert hashlib.sha256(body).hexdigest() in kept_blobs(web.hub)


@processes
def test_a_cart_that_waits_to_be_asked_for_its_recording_is_asked(web, token):
    body = csv_of(built(seconds=1, seed=8)).content
    with web.line(upload_head(token, len(body), "Expect: 100-continue")) as line:
        assert status_of(line) == 100
        line.sendall(body)
        assert b"HTTP/1.1 201 " in line.makefile("rb").read(200)


@processes
@pytest.mark.parametrize("missing", [None, 0, 2, 1000, 120_000], ids=["its length announced", "between chunks", "at a chunk's end", "within a chunk", "in a chunk's head"])
def test_a_recording_that_breaks_off_is_answered_by_name(web, token, missing):
    """Also where all that came is a valid shorter table."""
    half = LONG_ONE[:LONG_ONE.index(b"\n", 100_000) + 1]
    head, body = upload_head(token, len(LONG_ONE)), half
    if missing is not None:
        head = upload_head(token, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
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
    until(lambda: {"web_not_http", "web_too_long"} <= set(web.counted()))


@processes
def test_in_a_crowd_from_one_address_the_longest_waiting_makes_room(web):
    with ExitStack() as lines:
        other = lines.enter_context(web.line(source="127.0.0.2"))
        crowd = [lines.enter_context(web.line()) for _ in range(lobby.MOST_OF_ONE + 20)]
        assert web.serves()
        until(lambda: not waits(crowd[0]))
        assert waits(crowd[-1]) and waits(other)
    until(lambda: web.counted().get("web_crowded_out", 0) >= 20)


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
    with web.line(upload_head(token, len(content)) + content) as line:
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
        slow = [lines.enter_context(web.line(upload_head(token, len(bodies[0])), source=f"127.0.1.{number}")) for number in range(1, 8 * THREADS + 1)]
        for line in slow:
            line.sendall(bodies[0][:100_000])
        assert web.serves()
        assert web.upload(token, bodies[1], source="127.0.2.1", and_then=web.serves) == 201
        assert all(waits(line) for line in slow)
        assert lies() == before, "what has come of them has no name, and nothing outlives the process"
        slow[0].sendall(bodies[0][100_000:])
        assert status_of(slow[0]) == 201
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
            head, sent = upload_head(token, len(body)), body
            if is_chunked:
                head = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
                sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:99_999], body[99_999:])) + b"0\r\n\r\n"
            with web.line(head + sent[:90_000]) as line:
                line.sendall(sent[90_000:])
                assert status_of(line) == 201
            assert hashlib.sha256(body).hexdigest() in kept_blobs(web.hub)
