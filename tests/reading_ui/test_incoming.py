"""What comes over an HTTP connection: when it is a request, where its body ends, and how long that is waited for."""
import socket

import pytest

from reading_ui import incoming
from reading_ui.incoming import LONG, NOT_HTTP, SHORT, SILENT, TOO_LONG, WHOLE, Ending, Patient, forwarded, judged

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"


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
