"""Processor time of one picture of a 512 x 512 CT frame: the hub's `rendered` and Orthanc's, in turns in one run.

    python benchmarks/rendered.py FOLDER_WITH_CT_SLICES [--times 100] [--write docs/benchmarks.md]

The hub answers in this process, from request to JPEG, each time another frame ("first") or the same one under another
window ("again"); Orthanc (Debian's package, its default settings) answers over loopback, its time is that of its process
alone. One Orthanc request draws the same picture: `/instances/{id}/rendered` with a window. Medians over rounds.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median

from flask import Flask
from pydicom import dcmread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.store_servers import free_port  # noqa: E402
from benchmarks.page import put  # noqa: E402
from dicom_gateway.jobs import prepare_study  # noqa: E402
from dicom_gateway.services.store import take_in  # noqa: E402
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
    chosen = options.parse_args()
    files = sorted(path for path in chosen.folder.rglob("*.dcm"))[:30]
    told: dict[str, list[float]] = {"first": [], "again": [], "Orthanc": []}
    with tempfile.TemporaryDirectory(prefix="rendered-bench-") as place:
        client, paths = hub_of(Path(place) / "hub", files)
        process, root, ids = orthanc(Path(place) / "orthanc", files)
        try:
            for number in range(ROUNDS):
                begin = number * chosen.times
                told["first"].append(own_ms(lambda n: client.get(f"{paths[n % len(paths)]}?window={n - 600},1500,linear"), begin, chosen.times))
                told["again"].append(own_ms(lambda n: client.get(f"{paths[0]}?window={n - 600},1500,linear"), begin, chosen.times))
                told["Orthanc"].append(orthanc_ms(process.pid, f"{root}/instances", ids, begin, chosen.times))
        finally:
            process.terminate()
            process.wait(30)
    first, again, peer = (median(told[name]) for name in ("first", "again", "Orthanc"))
    lines = [f"Milliseconds of processor time a picture, medians of {ROUNDS} rounds of {chosen.times}; JPEG of a 512 x 512 CT frame with a window.", "",
             "| who | ms | Orthanc / this |", "|---|---|---|", f"| hub, another frame each time | {first:.2f} | {peer / first:.1f} |",
             f"| hub, the same frame under another window | {again:.2f} | {peer / again:.1f} |", f"| Orthanc, `/rendered` | {peer:.2f} | |"]
    print("\n".join(lines))
    if chosen.write:
        put(chosen.write, "Rendered frames", lines)


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
    return app.test_client(), paths


def orthanc(folder: Path, files: list[Path]):
    folder.mkdir()
    port = free_port()
    (folder / "orthanc.json").write_text(json.dumps({"StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": port,
                                                     "DicomPort": free_port(), "RemoteAccessAllowed": False, "Plugins": []}))
    process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], env=dict(os.environ, TCP_NODELAY="1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    root, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{root}/system", timeout=5).read()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    ids = [json.load(urllib.request.urlopen(urllib.request.Request(f"{root}/instances", path.read_bytes(), method="POST")))["ID"] for path in files]
    return process, root, ids


def own_ms(ask, begin: int, times: int) -> float:
    started = time.process_time()
    for number in range(begin, begin + times):
        reply = ask(number)
        assert reply.status_code == 200 and reply.data[:2] == b"\xff\xd8"
    return (time.process_time() - started) * 1e3 / times


def orthanc_ms(pid: int, root: str, ids: list[str], begin: int, times: int) -> float:
    started = _ticks(pid)
    for number in range(begin, begin + times):
        asked = urllib.request.Request(f"{root}/{ids[number % len(ids)]}/rendered?window-center={number - 600}&window-width=1500&quality=90",
                                       headers={"Accept": "image/jpeg"})
        assert urllib.request.urlopen(asked).read()[:2] == b"\xff\xd8"
    return (_ticks(pid) - started) * TICK_S * 1e3 / times


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
