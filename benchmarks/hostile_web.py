"""Hostile callers of the web: what an ECG cart and a page wait for while thousands of connections of each bad kind come in.

    python benchmarks/hostile_web.py [--connections 10000] [--peer 200] [--only silent ...] [--write docs/benchmarks.md]

Starts ``hub web`` with its default settings in a temporary folder. A cart goes on sending recordings of 288 KB and a browser goes on
asking for a small page; beside them, connections of one kind are opened as fast as they go, each kind from addresses of its own, so that
none runs out of ports. ``--peer``: as many of each kind
are then opened to the same web application under gunicorn's own threaded worker, which gives each a thread.
"""
from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402

from benchmarks.hostile_callers import Watch, _counted, crowd  # noqa: E402
from benchmarks.page import put  # noqa: E402
from benchmarks.store_servers import free_port  # noqa: E402
from hub.cli import processes  # noqa: E402
from hub.context import open_hub  # noqa: E402
from hub.flow import administration, devices  # noqa: E402
from hub.model.access import SYSTEM  # noqa: E402
from hub.settings import load  # noqa: E402
from hub.storage import migration  # noqa: E402
from tests.ecg.built_signals import built  # noqa: E402
from tests.ecg.cart import csv_of  # noqa: E402

GIVES_UP_S = 60
ADDRESSES = 200          # of a crowd that comes from many
ASSET = max((ROOT / "reading_ui" / "static").rglob("*.wasm"), key=lambda path: path.stat().st_size)


@dataclass(frozen=True)
class Kind:
    """What a connection says and then leaves it at; from how many addresses, and with how much room for what it is told."""

    said: bytes
    addresses: int = 1
    room: int = 0


_LONG = b"POST /api/ecg?rate_hz=500&unit=uV HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: 1000000\r\n\r\nabc"
_LARGE = f"GET /static/{ASSET.relative_to(ROOT / 'reading_ui' / 'static')} HTTP/1.1\r\nHost: hub\r\n\r\n".encode()
KINDS = {
    "silent": Kind(b""),
    "a head without end": Kind(b"GET / HTTP/1.1\r\nHost: hub\r\nX: "),
    "a short body without end": Kind(b"POST /sign-in HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\nabc"),
    "a long upload of a stranger": Kind(_LONG % b"nobody"),
    "a long upload that stalls": Kind(_LONG),
    f"a long upload that stalls, from {ADDRESSES} addresses": Kind(_LONG, ADDRESSES),
    f"reads nothing of {ASSET.stat().st_size / 1e6:.0f} MB, from {ADDRESSES} addresses": Kind(_LARGE, ADDRESSES, 4096),
    "not HTTP": Kind(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"),
    "asks, and never closes": Kind(b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--connections", type=int, default=10_000)
    options.add_argument("--peer", type=int, default=200)
    options.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS))
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    lines = [f"A cart sends 10 s recordings of 288 KB, a browser asks for a page; beside them {chosen.connections:,} connections of each kind to the hub, as fast as they "
             f"go, and {chosen.peer} to the same application under gunicorn's own threaded worker. Who waits {GIVES_UP_S} s was not served.", "",
             "| server | connections | a page takes, median | longest | not served | a recording takes, median | longest | not served | memory, MB | threads |",
             "|" + "---|" * 10]
    for name, worker, connections in (("hub", processes.LOBBY, chosen.connections), ("gunicorn's worker", "gthread", chosen.peer)):
        lines += under(name, worker, connections, chosen.only)
    print("\n".join(lines))
    if chosen.write and len(chosen.only) == len(KINDS):
        put(chosen.write, "Hostile callers of the web", lines)


def under(name: str, worker: str, connections: int, kinds: list[str]) -> list[str]:
    """The rows of one server."""
    with tempfile.TemporaryDirectory(prefix="hostile-web-") as place:
        settings = replace(load(environ={}), data_dir=place, web_port=free_port(), web_host="127.0.0.1")
        hub = open_hub(settings)
        migration.migrate(hub.engine)
        site = administration.create_site(hub, SYSTEM, code="QS", name="青山镇卫生院")
        token = devices.register(hub, SYSTEM, site_id=site, kind="ecg", name="cart")[1]
        log = (Path(place) / "web.log").open("wb")
        process = subprocess.Popen([sys.executable, "-c", f"from hub.cli import main, processes; processes.LOBBY = {worker!r}; main()", "web"], cwd=ROOT, stdout=log, stderr=log,
                                   env=os.environ | {"HUB_DATA_DIR": place, "HUB_WEB_PORT": str(settings.web_port), "HUB_WEB_HOST": "127.0.0.1"})
        try:
            _wait_until_it_answers(settings.web_port)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            watch = Watch(int(children[0]))
            rows = [_one(name, settings.web_port, token, watch, "none", 0)]
            for kind in kinds:
                rows.append(_one(name, settings.web_port, token, watch, kind, connections))
            time.sleep(3)
            counted = ", ".join(f"{reason} {times:,}" for reason, times in _counted(hub).items())
            return rows + (["", f"Counted by name: {counted}."] if counted else [])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            log.close()
            hub.close()


def _one(name: str, port: int, token: str, watch: Watch, kind: str, connections: int) -> str:
    stop, page, cart = threading.Event(), ([], []), ([], [])

    def asks(told: tuple[list, list], ask) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                ask().raise_for_status()
                told[0].append(time.monotonic() - began)
            except httpx.HTTPError:
                told[1].append(time.monotonic() - began)
            time.sleep(0.05)

    bodies = (csv_of(built(seed=seed % 50)).content for seed in range(1_000_000))
    threads = [threading.Thread(daemon=True, target=asks, args=(page, lambda: httpx.get(f"http://127.0.0.1:{port}/sign-in", timeout=GIVES_UP_S))),
               threading.Thread(daemon=True, target=asks, args=(cart, lambda: httpx.post(f"http://127.0.0.1:{port}/api/ecg?rate_hz=500&unit=uV", content=next(bodies), timeout=GIVES_UP_S,
                                                                            headers={"Authorization": f"Bearer {token}", "Content-Type": "text/csv"})))]
    held: list[socket.socket] = []
    what, place = KINDS.get(kind, Kind(b"")), list(KINDS).index(kind) + 1 if kind in KINDS else 0
    said = what.said.replace(b"%s", token.encode())
    for number in crowd(held, port, connections, lambda number: f"127.1.{place}.{1 + number % what.addresses}", lambda _: said, watch, what.room):
        if number == connections // 10:
            for one in threads:
                one.start()
    for one in threads:
        if not one.ident:
            one.start()
    time.sleep(5)
    watch.look()
    stop.set()
    for one in threads:
        one.join()
    for line in held:
        line.close()
    row = " | ".join(f"{f'{median(took):.2f} s' if took else '-'} | {f'{max(took):.2f} s' if took else '-'} | {len(failed)} of {len(took) + len(failed)}"
                     for took, failed in (page, cart))
    return f"| {name} | {f'{connections:,} ' if connections else ''}{kind} | {row} | {watch.rss_mb:.0f} | {watch.threads} |"


def _wait_until_it_answers(port: int) -> None:
    until = time.monotonic() + 90
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
            return
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
