"""Hostile callers: what a device waits for its answer while ten thousand connections of each bad kind come in.

    python benchmarks/hostile_callers.py [--connections 10000] [--only "unknown AE titles"] [--write docs/benchmarks.md]

Starts one gateway process with its default limits in a temporary folder. A registered device goes on sending slices, one
association each; beside it, connections of one kind are opened as fast as they go. The process's largest resident
memory, most threads and most open files are read from /proc while they do.
"""
from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.page import put  # noqa: E402
from benchmarks.store_servers import free_port  # noqa: E402
from dicom_gateway import mended  # noqa: E402
from hub.context import Hub, open_hub  # noqa: E402
from hub.flow import administration, devices, doors  # noqa: E402
from hub.model.access import SYSTEM  # noqa: E402
from hub.settings import load  # noqa: E402
from hub.storage import migration  # noqa: E402
from tests.dicom_gateway.running import Gateway, slice_of_ct  # noqa: E402
from tests.dicom_gateway.wire import CT, EXPLICIT, associate_rq  # noqa: E402

ELSEWHERE = "127.0.0.2"  # where the hostile come from; the device calls from 127.0.0.1
KEPT_OPEN = 2000         # of one kind at a time, by this side
KINDS: dict[str, Callable[[int], bytes]] = {
    "silent": lambda n: b"",
    "a request begun and never ended": lambda n: b"\x01\x00\x00\x00",
    "garbage": lambda n: os.urandom(64),
    "a request of 400 MB announced": lambda n: struct.pack(">BxL", 1, 400_000_000) + bytes(1000),
    "unknown AE titles": lambda n: associate_rq(f"STRANGER{n % 50}", "HUB", ((1, CT, EXPLICIT),), 16384),
}


@dataclass
class Watch:
    """The most that a process was seen to use: MB of resident memory, threads, files; and its CPU seconds."""

    pid: int
    rss_mb: float = 0.0
    threads: int = 0
    files: int = 0

    def look(self) -> None:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if ":" in line)
        self.rss_mb = max(self.rss_mb, int(status["VmRSS"].split()[0]) / 1024)
        self.threads = max(self.threads, int(status["Threads"]))
        self.files = max(self.files, len(os.listdir(f"/proc/{self.pid}/fd")))

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--connections", type=int, default=10_000)
    options.add_argument("--only", choices=KINDS)
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    mended.mend()      # the device's own association, too
    with tempfile.TemporaryDirectory(prefix="hostile-bench-") as place:
        settings = replace(load(environ={}), data_dir=place, dicom_port=free_port(), dicom_host="127.0.0.1")
        hub = open_hub(settings)
        migration.migrate(hub.engine)
        site = administration.create_site(hub, SYSTEM, code="QS", name="青山镇卫生院")
        devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="CT", ae_title="TOWNSHIP_CT")
        log = (Path(place) / "gateway.log").open("wb")
        process = subprocess.Popen([sys.executable, "-m", "hub", "gateway"], cwd=ROOT, stdout=log, stderr=log, env=os.environ | {
            "HUB_DATA_DIR": place, "HUB_DICOM_PORT": str(settings.dicom_port), "HUB_DICOM_HOST": "127.0.0.1"})
        try:
            gateway = Gateway(hub, settings.dicom_port, None)
            _wait_until_it_listens(settings.dicom_port)
            lines = [f"{chosen.connections:,} connections of each kind as fast as they go, while one device stores slices one after another; default limits "
                     f"({settings.dicom_connections} connections, {settings.dicom_connections_per_address} from one address).", "",
                     "| connections | seconds | a store takes, median | longest | not served | memory, MB | threads | files | CPU, ms each |", "|" + "---|" * 9]
            lines.append(_one(gateway, process.pid, "none", 0))
            for kind in [chosen.only] if chosen.only else KINDS:
                lines.append(_one(gateway, process.pid, kind, chosen.connections))
            for kind in () if chosen.only else ("a request begun and never ended", "unknown AE titles"):
                lines.append(_one(gateway, process.pid, kind, chosen.connections, "127.0.0.1"))
            lines.append(_one(gateway, process.pid, "none, afterwards", 0))
            time.sleep(3)
            lines += ["", "Counted by name: " + ", ".join(f"{reason} {times:,}" for reason, times in _counted(hub).items()) + "."]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            log.close()
            hub.close()
    print("\n".join(lines))
    if chosen.write and not chosen.only:
        put(chosen.write, "Hostile callers", lines)


def _one(gateway: Gateway, pid: int, kind: str, connections: int, source: str = ELSEWHERE) -> str:
    watch, took, failed, stop = Watch(pid), [], [], threading.Event()

    def device() -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                (took if gateway.send(slice_of_ct(side=64)) == [0] else failed).append(time.monotonic() - began)
            except Exception:
                failed.append(time.monotonic() - began)

    sender = threading.Thread(target=device)
    cpu_s, began = watch.cpu_s, time.monotonic()
    sender.start()
    held: list[socket.socket] = []
    if connections:
        for _ in crowd(held, gateway.port, connections, lambda _: source, KINDS[kind], watch):
            pass
    else:
        time.sleep(5)
    seconds = time.monotonic() - began
    watch.look()
    stop.set()
    sender.join()
    for line in held:
        line.close()
    each = f"{(watch.cpu_s - cpu_s) / connections * 1000:.2f}" if connections else ""
    middle, longest = (f"{median(took):.2f} s", f"{max(took):.2f} s") if took else ("-", "-")
    kind += ", from the device's own address" if source != ELSEWHERE else ""
    return (f"| {kind} | {seconds:.1f} | {middle} | {longest} | {len(failed)} of {len(took) + len(failed)} | {watch.rss_mb:.0f} | {watch.threads} | "
            f"{watch.files} | {each} |")


def crowd(held: list[socket.socket], port: int, connections: int, source: Callable[[int], str], said: Callable[[int], bytes], watch: Watch, room: int = 0) -> Iterator[int]:
    """Opens connections as fast as they go, each from the address that ``source`` makes of its number, and says on it what ``said`` makes
    of that; the number is yielded before. The newest stay open in ``held``. ``room``: bytes that this side takes of an answer."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for number in range(connections):
        yield number
        line = socket.socket()
        held.append(line)
        line.settimeout(30)
        if room:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        line.bind((source(number), 0))            # that there is no port left is a fault of the benchmark, and ends it
        try:
            line.connect(("127.0.0.1", port))
            line.sendall(said(number))
        except (ConnectionError, TimeoutError):
            pass                                  # it was turned away
        if len(held) > KEPT_OPEN:
            held.pop(0).close()
        if number % 200 == 0:
            watch.look()


def _counted(hub: Hub) -> dict[str, int]:
    found: dict[str, int] = {}
    for reason, _, times in doors.totals(hub):
        found[reason] = found.get(reason, 0) + times
    return found


def _wait_until_it_listens(port: int) -> None:
    until = time.monotonic() + 90
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main()
