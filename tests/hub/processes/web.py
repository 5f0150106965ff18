"""``hub web`` in a process of its own, with few threads, and its callers."""
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import select

from hub.storage.tables import door_count
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
THREADS = 4
PATIENT = "from reading_ui import incoming, lobby, spool; incoming.PATIENCE_S = lobby.PATIENCE_S = spool.PATIENCE_S = 600.0"      # no line of these tests is to be given up because the machine is slow


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
        with self.line(upload_head(token, len(body)), source) as line:
            line.sendall(body[:100])
            if and_then:
                and_then()
            line.sendall(body[100:])
            return status_of(line)


def upload_head(token: str, length: int, *fields: str) -> bytes:
    head = ("POST /api/ecg?rate_hz=500&unit=uV HTTP/1.1", "Host: hub", f"Authorization: Bearer {token}", "Content-Type: text/csv", f"Content-Length: {length}",
            *fields, "", "")
    return "\r\n".join(head).encode()


def status_of(line: socket.socket) -> int:
    said = line.makefile("rb").readline()
    return int(said.split()[1]) if said else 0


def waits(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        line.recv(1)
        return False                           # answered, or closed
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    finally:
        line.settimeout(120)


def until(condition) -> None:
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends, "it never came to that"
        time.sleep(0.05)


@contextmanager
def started(hub, folder, words="", **variables):
    """``words``: what is changed in the server before it starts; ``variables``: of its environment."""
    (folder / "sitecustomize.py").write_text(PATIENT + "\n" + words)
    port = free_port()
    environment = dict(os.environ, HUB_DATA_DIR=hub.settings.data_dir, HUB_DATABASE_URL=hub.settings.database_url, HUB_FREE_SPACE_FLOOR_MB="0",
                       HUB_WEB_PORT=str(port), HUB_WEB_HOST="127.0.0.1", HUB_WEB_THREADS=str(THREADS), PYTHONPATH=os.pathsep.join((str(folder), str(ROOT))), **variables)
    process = subprocess.Popen([sys.executable, "-m", "hub", "web"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    web = Web(hub, process, port)
    try:
        until_it_serves(web, process, lambda: "the web server did not start")
        yield web
    finally:
        process.kill()
        process.wait()


def until_it_serves(web: Web, process: subprocess.Popen, why: Callable[[], str]) -> None:
    """Waits for the first answer. ``why``: what is to be said where ``process`` has ended instead."""
    def answers() -> bool:
        assert process.poll() is None, why()
        with suppress(OSError):
            return web.serves()
    until(answers)
