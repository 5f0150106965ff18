"""The road: seconds from the last slice to "ready", and from an ECG's upload to "ready", on the running hub.

    python benchmarks/road.py FOLDER_WITH_CT_SLICES [--slices 300] [--rounds 3] [--write docs/benchmarks.md]

The CT is made of real slices, as many as are asked for: where there are fewer, they come again further down, moved sideways
so that no two frames are alike. Starts the whole hub (supervisor, gateway, web, scheduler, two workers) in a temporary folder and sends through
the real doors. The quiet time that a study waits before it closes is part of the figure and is printed.
"""
from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from pydicom import dcmread
from pydicom.uid import generate_uid

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.page import put  # noqa: E402
from benchmarks.store_servers import free_port  # noqa: E402
from hub import demo  # noqa: E402
from hub.cli.send import post_ecg  # noqa: E402
from hub.context import open_hub  # noqa: E402
from hub.flow import studies  # noqa: E402
from hub.flow.studies import StudyQuery  # noqa: E402
from hub.model.access import SYSTEM  # noqa: E402
from hub.settings import load  # noqa: E402
from hub.storage import migration  # noqa: E402
from hub.supervisor import answers  # noqa: E402

STORESCU = "/usr/bin/storescu"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--slices", type=int, default=300)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--write", type=Path)
    chosen, busy = options.parse_args(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="road-bench-") as place:
        folder = Path(place)
        settings = replace(load(environ={}), free_space_floor_mb=0, data_dir=str(folder / "data"), web_port=free_port(), dicom_port=free_port())
        hub = open_hub(settings)
        migration.migrate(hub.engine)
        county = demo.make_county(hub)
        process = start(settings)
        try:
            wait_until(lambda: answers(f"{settings.address}/healthz"), 90)
            sent, ready = zip(*(one_ct(hub, county, chosen.folder, folder / str(n), chosen.slices) for n in range(chosen.rounds)))
            ecgs = [one_ecg(hub, county, n) for n in range(chosen.rounds)]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    lines = [f"Medians of {chosen.rounds} rounds; a study closes {settings.evident_quiet_s:g} s after its sender released where its numbers run on (included).",
             f"Load of the machine before the run: {busy:.0f}.", "",
             "| what | seconds |", "|---|---|",
             f"| {chosen.slices} CT slices of 512 x 512 by C-STORE: first byte to last answer | {median(sent):.2f} |",
             f"| last answer to ready in the queue (evidence, decoding, lossless HTJ2K, check) | {median(ready):.2f} |",
             f"| 10 s 12-lead ECG by HTTP: upload to receipt with quality verdict | {median(a for a, _ in ecgs):.2f} |",
             f"| ECG receipt to ready in the queue (analysis, sheet) | {median(b for _, b in ecgs):.2f} |"]
    print("\n".join(lines))
    if chosen.write:
        put(chosen.write, "From door to queue", lines)


def start(settings) -> subprocess.Popen:
    variables = {"HUB_DATA_DIR": settings.data_dir, "HUB_WEB_PORT": str(settings.web_port), "HUB_DICOM_PORT": str(settings.dicom_port),
                 "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "hub", "up"], env=dict(os.environ, **variables), cwd=ROOT,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def one_ct(hub, county, originals: Path, own: Path, slices: int) -> tuple[float, float]:
    make_study(originals, own, slices)
    known = {row.id for row in studies.search(hub, SYSTEM, StudyQuery())}
    began = time.perf_counter()
    subprocess.run([STORESCU, "+sd", "-aet", county.ae_title, "-aec", hub.settings.dicom_ae_title, "127.0.0.1",
                    str(hub.settings.dicom_port), str(own)], check=True, env=dict(os.environ, TCP_NODELAY="1"), stdout=subprocess.DEVNULL)
    sent = time.perf_counter()
    wait_until(lambda: new_and_ready(hub, known), 300)
    return sent - began, time.perf_counter() - sent


def make_study(originals: Path, folder: Path, slices: int) -> None:
    """One series of ``slices`` files, 1 mm apart, with new UIDs."""
    folder.mkdir(parents=True)
    files = sorted(originals.rglob("*.dcm"))
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for number in range(slices):
        turn, place = divmod(number, len(files))
        dataset = dcmread(files[place])
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.InstanceNumber, dataset.ImagePositionPatient = number + 1, [-250, -250, -number]
        dataset.PixelData = np.roll(dataset.pixel_array, (7 * turn, 16 * turn), (0, 1)).tobytes()
        dataset.save_as(folder / f"{number:04d}.dcm")


def one_ecg(hub, county, number: int) -> tuple[float, float]:
    known = {row.id for row in studies.search(hub, SYSTEM, StudyQuery())}
    original = (ROOT / "sample_data" / "demo_ecg.xml").read_bytes()
    file = hub.settings.folder / f"ecg{number}.xml"
    file.write_bytes(original + f"<!-- {number} -->\n".encode())
    began = time.perf_counter()
    refused = post_ecg(hub.settings.address, county.ecg_token, [file], {})
    if refused:
        raise SystemExit(refused)
    answered = time.perf_counter()
    wait_until(lambda: new_and_ready(hub, known), 60)
    return answered - began, time.perf_counter() - answered


def new_and_ready(hub, known: set[int]) -> bool:
    return any(row.id not in known and row.state == "ready" for row in studies.search(hub, SYSTEM, StudyQuery()))


def wait_until(true, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit("waited too long")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
