"""Processor time of one picture of a 512 x 512 CT frame: the hub's `rendered` and Orthanc's, in turns in one run.

    python benchmarks/rendered.py FOLDER_WITH_CT_SLICES [--times 100] [--write docs/benchmarks.md]

Both answer over loopback, on a connection that stays open where they leave it open, and their figure is the processor time of their process: the hub
as gunicorn runs it, Orthanc (Debian's package) with its default settings. The hub draws each time another frame, or the same
one under another window, or gives the same picture again; Orthanc draws another frame each time
(`/instances/{id}/rendered` with a window), and the same picture again. Medians over rounds.
"""
from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median

from flask import Flask
from gunicorn.app.base import BaseApplication
from pydicom import dcmread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.store_servers import free_port  # noqa: E402
from benchmarks.page import put  # noqa: E402
from dicom_gateway.jobs import prepare_study  # noqa: E402
from dicom_gateway.services.store import take_in  # noqa: E402
from dicom_gateway.web.rendering import picture  # noqa: E402
from dicom_gateway.web.routes import blueprint  # noqa: E402
from hub.context import open_hub  # noqa: E402
from hub.flow import administration, completion, devices, studies  # noqa: E402
from hub.model.access import SYSTEM, Actor  # noqa: E402
from hub.settings import load  # noqa: E402
from hub.storage import migration  # noqa: E402

ORTHANC = "/usr/sbin/Orthanc"
ROUNDS = 5
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--times", type=int, default=100)
    options.add_argument("--write", type=Path)
    chosen, busy = options.parse_args(), os.getloadavg()[0]
    files = sorted(path for path in chosen.folder.rglob("*.dcm"))[:30]
    told: dict[str, list[float]] = {name: [] for name in ("first", "again", "same", "peer", "peer same", "drawing")}
    with tempfile.TemporaryDirectory(prefix="rendered-bench-") as place:
        app, paths, draw = hub_of(Path(place) / "hub", files)
        own, peer = Server(*serve(app)), Server(*orthanc(Path(place) / "orthanc"))
        try:
            ids = [json.loads(peer.ask("/instances", path.read_bytes()))["ID"] for path in files]
            own_path = [f"{path}?window={{}},1500,linear" for path in paths]
            peer_path = [f"/instances/{one}/rendered?window-center={{}}&window-width=1500&quality=90" for one in ids]
            for number in range(-1, ROUNDS):                    # the round before the first warms up
                found = {"first": own.ms(own_path, number, chosen.times), "peer": peer.ms(peer_path, number, chosen.times),
                         "again": own.ms(own_path[:1], number, chosen.times),
                         "same": own.ms([own_path[0].format(0)], number, chosen.times), "peer same": peer.ms([peer_path[0].format(0)], number, chosen.times),
                         "drawing": drawing_ms(draw, number, chosen.times)}
                for name in told if number >= 0 else ():
                    told[name].append(found[name])
        finally:
            own.stop(), peer.stop()
    first, again, same, orthanc_ms, orthanc_same, drawn = (median(told[name]) for name in ("first", "again", "same", "peer", "peer same", "drawing"))
    lines = [f"Milliseconds of processor time a picture, medians of {ROUNDS} rounds of {chosen.times}; JPEG (quality 90) of a 512 x 512 CT frame with a window.",
             f"Load of the machine before the run: {busy:.0f}.", "",
             "| who | ms, to reach: 3 | Orthanc / this, to reach: 5 |", "|---|---|---|",
             f"| hub, another frame each time | {first:.2f} | {orthanc_ms / first:.1f} |",
             f"| of which reading, table and JPEG, without the web | {drawn:.2f} | |",
             f"| hub, the same frame under another window | {again:.2f} | {orthanc_ms / again:.1f} |",
             f"| hub, the same picture again | {same:.2f} | {orthanc_same / same:.1f} |",
             f"| Orthanc, `/rendered`, another frame each time | {orthanc_ms:.2f} | |",
             f"| Orthanc, the same picture again | {orthanc_same:.2f} | |"]
    print("\n".join(lines))
    if chosen.write:
        put(chosen.write, "Rendered frames", lines)


class Server:
    """A process that answers over loopback, with the processor time that it takes."""

    def __init__(self, process, port: int):
        self._process, self._connection = process, http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connection.connect()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        for _ in range(2):
            try:
                self._connection.request("POST" if body else "GET", path, body, {"Accept": "image/jpeg"} if body is None else {})
                answer = self._connection.getresponse()
                break
            except http.client.RemoteDisconnected:      # closed after an answer, without a word
                self._connection.close()
        content = answer.read()
        assert answer.status == 200, content[:200]
        return content

    def ms(self, paths: list[str], number: int, times: int) -> float:
        began = self._ticks()
        for turn in range(times):
            assert self.ask(paths[turn % len(paths)].format(number * times + turn - 600))[:2] == b"\xff\xd8"
        return (self._ticks() - began) * TICK_S * 1e3 / times

    def _ticks(self) -> int:
        """Of the process and its children."""
        ids = [self._process.pid, *map(int, Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split())]
        fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in ids]
        return sum(int(one[11]) + int(one[12]) for one in fields)

    def stop(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait(30) if isinstance(self._process, subprocess.Popen) else self._process.join(30)


class _Gunicorn(BaseApplication):
    """One worker with threads, as the hub's supervisor starts it."""

    def __init__(self, app, port: int):
        self._app, self._port = app, port
        super().__init__()

    def load_config(self) -> None:
        for name, value in (("bind", f"127.0.0.1:{self._port}"), ("workers", 1), ("threads", 4), ("keepalive", 600), ("loglevel", "error")):
            self.cfg.set(name, value)

    def load(self):
        return self._app


def serve(app) -> tuple:
    port = free_port()
    process = multiprocessing.get_context("fork").Process(target=_Gunicorn(app, port).run)
    process.start()
    return process, port


def drawing_ms(draw, number: int, times: int) -> float:
    began = time.process_time()
    for turn in range(times):
        draw(turn, number * times + turn - 600)
    return (time.process_time() - began) * 1e3 / times


def hub_of(folder: Path, files: list[Path]):
    hub = open_hub(replace(load(environ={}), data_dir=str(folder), free_space_floor_mb=0))
    migration.migrate(hub.engine)
    site = administration.create_site(hub, SYSTEM, code="A", name="A")
    devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="CT", ae_title="CT1")
    device, paths = devices.admit(hub, "CT1", "127.0.0.1"), []
    for path in files:
        taken = take_in(hub, device, hub.blobs.keep(path.read_bytes()))
        head = dcmread(path, stop_before_pixels=True)
        paths.append(f"/dicomweb/studies/{head.StudyInstanceUID}/series/{head.SeriesInstanceUID}/instances/{head.SOPInstanceUID}/frames/1/rendered")
    completion.close_quiet_studies(hub.at(lambda: hub.now() + timedelta(hours=1)))
    prepare_study(hub, taken.study_id, studies.find(hub, SYSTEM, taken.study_id).generation)
    app = Flask("benchmark")
    app.register_blueprint(blueprint(hub, lambda: Actor(None, "reader", "reader")), url_prefix="/dicomweb")
    abouts = [one for one in studies.artifacts_of(hub, taken.study_id, "prepared")]
    instances = {one.id: one.sha256 for one in studies.instances_of(hub, taken.study_id)}

    def draw(turn: int, center: int) -> None:
        one = abouts[turn % len(abouts)]
        picture(hub.blobs.path(instances[one.instance_id]), 0, "image/jpeg", {"window": f"{center},1500,linear"}, None, one.about)

    hub.engine.dispose()
    return app, paths, draw


def orthanc(folder: Path) -> tuple:
    folder.mkdir()
    port = free_port()
    (folder / "orthanc.json").write_text(json.dumps({"StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": port,
                                                     "DicomPort": free_port(), "RemoteAccessAllowed": False, "Plugins": []}))
    process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], env=dict(os.environ, TCP_NODELAY="1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, port


if __name__ == "__main__":
    main()
