"""The web behind a real proxy, nginx with the configuration of deploy/: who comes through it is known, limited and served by its own address."""
import hashlib
import os
import shutil
import ssl
import subprocess
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.flow import devices
from hub.flow.certificates import network_keys
from hub.model.access import SYSTEM
from hub.storage.tables import door_count
from reading_ui import lobby
from tests.ecg.built_signals import built
from tests.ecg.cart import csv_of, kept_blobs
from tests.hub.processes.web import ROOT, THREADS, Web, started, status_of, until, until_it_serves, upload_head, waits
from tests.ports import free_port
from tests.reading_ui.county import PASSWORD
from tests.reading_ui.house import opened

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
pytestmark = [pytest.mark.processes, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]
OF_ONE = 6          # long bodies of one address, in these tests


class Proxied(Web):
    """``hub web`` as its callers see it through nginx: over TLS, at the proxy's port."""

    def line(self, said: bytes = b"", source: str = "127.0.0.1", room: int = 0) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=network_keys(self.hub).root)
        context.check_hostname = False
        made = context.wrap_socket(super().line(b"", source, room))
        made.sendall(said)
        return made

    def ask(self, words: str, source: str = "127.0.0.1") -> HTTPResponse:
        with self.line(words.replace("\n", "\r\n").encode(), source) as line:
            answer = HTTPResponse(line)
            answer.begin()
            answer.read()
            return answer

    def serves(self) -> bool:
        return self.ask("GET /healthz HTTP/1.1\nHost: hub\n\n").status == 200

    def turned_away(self) -> dict[str, set[str]]:
        """The addresses of those who were turned away, by the reason."""
        with self.hub.reading() as connection:
            return {row.reason: row.last_address for row in connection.execute(select(door_count))}


@contextmanager
def proxied(web: Web, folder: Path):
    """nginx before a running web server. Of the example nothing is changed but addresses and the place of the certificate."""
    port, keys = free_port(), network_keys(web.hub)
    example = (ROOT / "deploy" / "nginx.conf").read_text()
    for written, here in (("127.0.0.1:8080", f"127.0.0.1:{web.port}"), ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
                          ("/etc/ssl/hub/certificate.pem", str(keys.server)), ("/etc/ssl/hub/key.pem", str(keys.server_key))):
        assert example.count(written) == 1, written
        example = example.replace(written, here)
    (folder / "hub.conf").write_text(example)
    places = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"{'user root;' if os.getuid() == 0 else ''}\npid {folder}/pid;\nerror_log {folder}/error.log;\nworker_processes 1;\ndaemon off;\n"
                                       f"events {{ worker_connections 1000; }}\nhttp {{\n    access_log off;\n{places}    include {folder}/hub.conf;\n}}\n")
    process = subprocess.Popen([NGINX, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    made = Proxied(web.hub, web.process, port)
    try:
        until_it_serves(made, process, (folder / "error.log").read_text)
        yield made
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("proxy") / "county") as made:
        yield made


@pytest.fixture(scope="module")
def web(house, tmp_path_factory):
    with started(house.hub, tmp_path_factory.mktemp("web"), f"spool.MOST_OF_ADDRESS = {OF_ONE}", HUB_TRUSTED_PROXIES="1") as running, \
            proxied(running, tmp_path_factory.mktemp("nginx")) as made:
        yield made


@pytest.fixture(scope="module")
def token(house):
    return devices.register(house.hub, SYSTEM, site_id=house.county.sites["QS"], kind="ecg", name="cart")[1]


def test_pages_and_doors_are_the_same_behind_a_proxy(web, house, token):
    page = web.ask("GET /sign-in HTTP/1.1\nHost: hub.example.org\n\n")
    assert page.status == 200 and "Secure" in page.headers["Set-Cookie"], "the hub knows that its people come by https"
    for seed, seconds in ((1, 1), (2, 20)):
        body = csv_of(built(seconds=seconds, seed=seed)).content
        assert web.upload(token, body, and_then=web.serves) == 201
        assert hashlib.sha256(body).hexdigest() in kept_blobs(web.hub)
    body = csv_of(built(seconds=20, seed=3)).content
    with web.line(upload_head(token, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")) as line:
        for piece in (body[:70_000], body[70_000:], b""):
            line.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        assert status_of(line) == 201


@pytest.mark.parametrize("expects", [(), ("Expect: 100-continue",)], ids=["", "that waits to be asked"])
def test_a_door_refuses_through_the_proxy_before_the_body_is_sent(web, expects):
    with web.line(upload_head("nobody", 10_000_000, *expects)) as line:
        said = line.makefile("rb")
        first = said.readline()
        while first.startswith(b"HTTP/1.1 100 "):          # nginx's own
            said.readline()
            first = said.readline()
        assert first.startswith(b"HTTP/1.1 401 ")


def test_addresses_behind_the_proxy_are_limited_each_on_its_own(web, token):
    with ExitStack() as lines:
        crowd = [lines.enter_context(web.line(upload_head(token, 1_000_000) + bytes(1000), source="127.0.3.1")) for _ in range(OF_ONE + 1)]
        until(lambda: sum(not waits(line) for line in crowd) == 1)
        body = csv_of(built(seconds=20, seed=11)).content
        assert web.upload(token, body, source="127.0.3.2") == 201
    until(lambda: web.turned_away().get("web_busy") == "127.0.3.1")


def test_what_a_caller_says_of_itself_is_not_believed(web, token):
    """It may write the header, too; the proxy's own word comes last."""
    with ExitStack() as lines:
        said = [upload_head(token, 1_000_000, f"X-Forwarded-For: 10.0.0.{number}") for number in range(OF_ONE + 1)]
        crowd = [lines.enter_context(web.line(one + bytes(1000), source="127.0.4.1")) for one in said]
        until(lambda: sum(not waits(line) for line in crowd) == 1)
    until(lambda: web.turned_away().get("web_busy") == "127.0.4.1")


def test_the_proxys_own_connections_are_not_refused_however_many_it_needs(web, token):
    """More than one address might have, each busy with a long body."""
    with ExitStack() as lines:
        many = [lines.enter_context(web.line(upload_head(token, 1_000_000) + bytes(1000), source=f"127.0.5.{1 + number // OF_ONE}"))
                for number in range(lobby.MOST_OF_ONE + 8 * THREADS)]
        assert all(web.serves() for _ in range(3))
        assert all(waits(line) for line in many)


def test_somebody_signs_in_through_the_proxy(web):
    with web.line() as line:
        def ask(words: str, body: str = "", cookies: str = "") -> HTTPResponse:
            line.sendall(f"{words} HTTP/1.1\r\nHost: hub.example.org\r\nReferer: https://hub.example.org/sign-in\r\nCookie: {cookies}\r\nContent-Length: {len(body)}\r\n"
                         f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode())
            answer = HTTPResponse(line)
            answer.begin()
            answer.text = answer.read().decode()
            return answer
        page = ask("GET /sign-in")
        form = page.text.split('name="csrf_token" value="')[1].split('"')[0]
        cookie = page.headers["Set-Cookie"].split(";")[0]
        answer = ask("POST /sign-in", f"username=admin&password={PASSWORD.format('admin')}&csrf_token={form}", cookie)
        assert answer.status == 302 and not answer.headers["Location"].startswith("http://")
