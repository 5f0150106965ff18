"""The door of a real web server under what is too large: refused or kept, never all of it in memory."""
import hashlib
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ecg.cart import half_written, holdings, instances, kept_blobs
from tests.ports import free_port

pytestmark = pytest.mark.processes
ROOM_MB = 200          # one upload of 64 MB, read once, and what Python needs around it
MEGABYTE = bytes(1_000_000)


@contextmanager
def web_server(hub):
    """gunicorn as ``hub web`` starts it; yields its port and a function that tells its greatest memory in MB."""
    port = free_port()
    environment = dict(os.environ, HUB_DATA_DIR=hub.settings.data_dir, HUB_DATABASE_URL=hub.settings.database_url, HUB_FREE_SPACE_FLOOR_MB="0",
                       HUB_WEB_PORT=str(port), HUB_WEB_HOST="127.0.0.1")
    process = subprocess.Popen([sys.executable, "-m", "hub", "web"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 180
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < until, "the web server did not start"
            time.sleep(0.1)
        yield port, lambda: _greatest_mb(process.pid)
    finally:
        process.terminate()
        process.wait(120)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
            wire.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return wire.recv(12).startswith(b"HTTP/1")
    except OSError:
        return False


def _greatest_mb(parent: int) -> float:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    peaks = [line.split()[1] for child in children for line in Path(f"/proc/{child}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return max(int(peak) for peak in peaks) / 1024


def post(port: int, token: str, headers: str, pieces) -> int | None:
    """One request in pieces of bytes; the status, or None where the server hung up without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=180) as wire:
        wire.sendall(f"POST /api/ecg HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n{headers}\r\n\r\n".encode())
        try:
            for piece in pieces:
                wire.sendall(piece)
            wire.shutdown(socket.SHUT_WR)
        except OSError:
            pass          # refused before all was sent
        try:
            return int(wire.makefile("rb").readline().split()[1])
        except (OSError, IndexError):
            return None


def test_what_is_too_large_is_refused_or_kept_within_bounded_memory(hub, county):
    chunk = b"%x\r\n" % len(MEGABYTE) + MEGABYTE + b"\r\n"
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    with web_server(hub) as (port, greatest_mb):
        before = greatest_mb()
        status = post(port, county.ecg_token, "Transfer-Encoding: chunked\r\nContent-Type: text/csv", (chunk for _ in range(300)))
        assert status in (413, None) and greatest_mb() - before < 40, "300 MB in pieces were streamed to disk, not to memory"
        status = post(port, county.ecg_token, "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked",
                      (b"%x\r\n" % len(form) + form + b"\r\n", *(chunk for _ in range(300))))
        assert status in (413, None) and greatest_mb() - before < 60
        assert post(port, county.ecg_token, "Content-Length: 300000000", []) == 413, "refused by its announcement alone"
        assert post(port, county.ecg_token, "Content-Length: 1000\r\nContent-Type: text/csv", [b"I,II\n" * 20]) in (400, None)
        until = time.monotonic() + 120
        while half_written(hub):              # where it hung up without an answer it tidies up afterwards
            assert time.monotonic() < until
            time.sleep(0.05)
        assert kept_blobs(hub) == set() and not instances(hub) and not holdings(hub)
        status = post(port, county.ecg_token, "Content-Length: 63000000\r\nContent-Type: text/csv", (MEGABYTE for _ in range(63)))
        assert status == 422 and kept_blobs(hub) == {hashlib.sha256(bytes(63_000_000)).hexdigest()}
        assert greatest_mb() - before < ROOM_MB, f"{greatest_mb() - before:.0f} MB"
        assert _answers(port), "the server lives on"
