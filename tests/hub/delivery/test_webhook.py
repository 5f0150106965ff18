"""Real HTTP exchanges with a receiver on this machine that answers as it is told to."""

import hashlib
import hmac
import json
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hub.delivery.webhook import check_signature, send
from hub.errors import Invalid, Permanent, Refused, Retryable

SECRET = "共享密钥-1"
SENT_AT = datetime(2026, 5, 2, 2, 30, tzinfo=timezone.utc)
BODY = {"report": "CT-1", "状态": "final", "n": 2}


class Receiver:
    """A receiver that keeps what came and answers with ``status``, ``headers`` and ``reply``."""

    def __init__(self):
        self.status, self.headers, self.reply, self.came = 200, {}, b'{"ok":true}', []
        self.hold, self.released = False, threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.append((self.path, dict(self.headers), content))
                if receiver.hold:
                    receiver.released.wait(120)
                    return
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(receiver.reply)
                except OSError:
                    receiver.came.append("hung up")

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/news"


@pytest.fixture
def receiver():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield receiver
    receiver.released.set()
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def deliver(url, body=BODY, *, secret=SECRET, key="report-CT-1-v1", timeout_s=120.0, sent_at=SENT_AT):
    return send(url, secret, body, idempotency_key=key, timeout_s=timeout_s, sent_at=sent_at)


def test_what_arrives_is_the_body_its_key_and_a_signature_that_anybody_can_recompute(receiver):
    outcome = deliver(receiver.url)
    assert (outcome.status, outcome.reply) == (200, '{"ok":true}')
    ((path, headers, content),) = receiver.came
    assert path == "/news" and json.loads(content) == BODY
    assert headers["Idempotency-Key"] == "report-CT-1-v1"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    stamp = str(int(SENT_AT.timestamp()))
    expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + content, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Timestamp"] == stamp and headers["X-Hub-Signature"] == "v1=" + expected


def test_a_receiver_accepts_what_was_sent_and_nothing_else(receiver):
    deliver(receiver.url)
    ((_, headers, content),) = receiver.came
    check_signature(SECRET, headers, content, SENT_AT + timedelta(minutes=4))
    check_signature(SECRET, {name.upper(): value for name, value in headers.items()}, content, SENT_AT)
    for secret, head, body, code in [
        ("other", headers, content, "webhook.signature"),
        (SECRET, headers, content + b" ", "webhook.signature"),
        (SECRET, headers | {"X-Hub-Timestamp": "1777689001"}, content, "webhook.signature"),
        (SECRET, {}, content, "webhook.signature"),
        (SECRET, headers | {"X-Hub-Signature": "v1=é"}, content, "webhook.signature"),
    ]:
        with pytest.raises(Refused) as refusal:
            check_signature(secret, head, body, SENT_AT)
        assert refusal.value.code == code
    for off in (timedelta(minutes=6), timedelta(minutes=-6)):
        with pytest.raises(Refused) as refusal:
            check_signature(SECRET, headers, content, SENT_AT + off)
        assert refusal.value.code == "webhook.stale"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_delivered(receiver, status):
    receiver.status, receiver.reply = status, b""
    assert deliver(receiver.url).status == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_a_refusal_is_permanent(receiver, status):
    receiver.status = status
    with pytest.raises(Permanent) as refusal:
        deliver(receiver.url)
    assert refusal.value.code == "webhook.refused" and str(status) in refusal.value.zh


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_receiver_in_trouble_is_worth_another_try(receiver, status):
    receiver.status = status
    with pytest.raises(Retryable) as failure:
        deliver(receiver.url)
    assert failure.value.code == "webhook.unavailable"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver, status):
    receiver.status, receiver.headers = status, {"Location": receiver.url + "/elsewhere"}
    with pytest.raises(Permanent):
        deliver(receiver.url)
    assert [each[0] for each in receiver.came] == ["/news"]


def test_a_receiver_that_never_answers_is_given_up_in_time(receiver):
    receiver.hold = True
    with pytest.raises(Retryable) as failure:
        deliver(receiver.url, timeout_s=0.3)
    assert failure.value.code == "webhook.timeout"


def test_an_answer_that_drips_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def drip():
            connection, _ = listening.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n")
                    while not stop.wait(0.05):
                        connection.sendall(b"X")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Retryable) as failure:
            deliver(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_s=0.5)
        stop.set()
        thread.join()
    assert failure.value.code == "webhook.timeout"


def test_no_one_listening_is_worth_another_try():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Retryable) as failure:
        deliver(f"http://127.0.0.1:{port}/")
    assert failure.value.code == "webhook.unreachable"


def test_only_the_beginning_of_an_endless_answer_is_read(receiver):
    receiver.reply = b"a" * 50_000_000
    outcome = deliver(receiver.url)
    assert outcome.status == 200 and len(outcome.reply) == 500
    until = time.monotonic() + 120
    while receiver.came[-1] != "hung up":
        assert time.monotonic() < until, "the rest was read, too"
        time.sleep(0.02)


def test_control_characters_of_an_answer_do_not_reach_a_log(receiver):
    receiver.status, receiver.reply = 400, b"\x1b[31m\r\nforged line"
    with pytest.raises(Permanent) as refusal:
        deliver(receiver.url)
    assert "\x1b" not in refusal.value.en and "\n" not in refusal.value.en


@pytest.mark.parametrize("change", [
    {"url": "ftp://127.0.0.1/"}, {"url": "http:///news"}, {"url": "http://u:p@127.0.0.1/"}, {"url": "nowhere"},
    {"url": "http://[::1/"}, {"secret": ""}, {"key": ""}, {"key": "a\r\nX-Evil: 1"}, {"key": "键"},
    {"body": {"n": float("nan")}}, {"body": {"b": b"bytes"}}, {"body": {"s": "\ud800"}}, {"timeout_s": 0},
    {"sent_at": datetime(2026, 5, 2)},
])
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(receiver, change):
    with pytest.raises(Invalid) as refusal:
        deliver(**{"url": receiver.url, **change})
    assert refusal.value.code == "webhook.request"
    assert receiver.came == []


def test_the_proxies_of_the_environment_are_not_used(receiver, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    assert deliver(receiver.url).status == 200
