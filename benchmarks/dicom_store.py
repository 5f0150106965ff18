"""C-STORE: instances per second of the hub's gateway against DCMTK storescp and plain pynetdicom, in one run.

    python benchmarks/dicom_store.py [--associations 1,4,16] [--each 40] [--side 512] [--rounds 3] [--write docs/benchmarks.md]

Every sender is DCMTK's storescu, one process per association, with TCP_NODELAY=1 on both sides of every
server. The servers take turns, rounds are interleaved, medians are printed. The hub answers after the blob
is synchronised to disk and its row is committed; storescp and plain pynetdicom promise neither.
Files are removed only at the end: removing many makes ext4 slow for minutes.
"""
from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

ROOT = Path(__file__).resolve().parents[1]
STORESCU, STORESCP = "/usr/bin/storescu", "/usr/bin/storescp"
PLAIN = """
import sys
from pathlib import Path
from pynetdicom import AE, evt, AllStoragePresentationContexts
import uuid
folder = Path(sys.argv[2])
def store(event):
    (folder / uuid.uuid4().hex).write_bytes(event.encoded_dataset())
    return 0
ae = AE("PLAIN"); ae.supported_contexts = AllStoragePresentationContexts; ae.maximum_associations = 64
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--associations", default="1,4,16")
    options.add_argument("--each", type=int, default=40, help="instances per association")
    options.add_argument("--side", type=int, default=512, help="pixels a side; 512 is a CT slice, 98 an object of 20 KB")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    counts = [int(n) for n in chosen.associations.split(",")]
    place = Path(tempfile.mkdtemp(prefix="store-bench-"))
    servers = {"hub (blob synchronised, row committed)": Hub(place / "hub"), "DCMTK storescp (neither)": Storescp(place / "storescp"),
               "plain pynetdicom (neither)": Plain(place / "plain")}
    try:
        rates = {(name, n): [] for name in servers for n in counts}
        for _ in range(chosen.rounds):
            for n in counts:
                for name, server in servers.items():
                    files = make_files(place / "send" / generate_uid(), n, chosen.each, chosen.side)
                    rates[name, n].append(measure(server, files, n * chosen.each))
        lines = table(servers, counts, rates, chosen)
    finally:
        for server in servers.values():
            server.stop()
    print("\n".join(lines))
    if chosen.write:
        from benchmarks.page import put
        put(chosen.write, f"C-STORE, {chosen.side} x {chosen.side}", lines)
    shutil.rmtree(place, ignore_errors=True)


def make_files(folder: Path, associations: int, each: int, side: int) -> list[Path]:
    """One folder per association, each with CT slices of side x side x 16 bit, every one with its own UIDs."""
    pixels = np.random.default_rng(1).integers(0, 4096, (side, side), dtype="<u2").tobytes()
    folders = []
    for number in range(associations):
        study, series = generate_uid(), generate_uid()
        (own := folder / str(number)).mkdir(parents=True)
        for index in range(each):
            ds = Dataset()
            ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
            ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
            ds.PatientName, ds.PatientID, ds.Modality, ds.InstanceNumber = "Bench^Mark", f"B{number}", "CT", index + 1
            ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, index * 5.0], [1, 0, 0, 0, 1, 0]
            ds.Rows = ds.Columns = side
            ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
            ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
            ds.PixelData = pixels
            ds.file_meta = FileMetaDataset()
            ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            ds.save_as(own / f"{index}.dcm", enforce_file_format=True)
        folders.append(own)
    return folders


def measure(server, folders: list[Path], total: int) -> float:
    environment = dict(os.environ, TCP_NODELAY="1")
    began = time.perf_counter()
    senders = [subprocess.Popen([STORESCU, "+sd", "-aet", "BENCH", "-aec", server.title, "127.0.0.1", str(server.port), str(folder)],
                                env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for folder in folders]
    failed = sum(sender.wait() != 0 for sender in senders)
    took = time.perf_counter() - began
    if failed:
        raise SystemExit(f"{failed} senders to {server.title} failed")
    return total / took


class Server:
    title = "BENCH_SCP"

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder, self.port = folder, free_port()
        self.process = subprocess.Popen(self.command(), env=dict(os.environ, TCP_NODELAY="1", **self.variables()), cwd=ROOT,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(self.port)

    def variables(self) -> dict:
        return {}

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Storescp(Server):
    def command(self):
        return [STORESCP, "--fork", "-od", str(self.folder), "-aet", self.title, str(self.port)]


class Plain(Server):
    def command(self):
        return [sys.executable, "-c", PLAIN, str(self.port), str(self.folder)]


class Hub(Server):
    def variables(self) -> dict:
        return {"HUB_DATA_DIR": str(self.folder), "HUB_DICOM_PORT": str(self.port), "HUB_DICOM_HOST": "127.0.0.1",
                "HUB_DICOM_AE_TITLE": self.title, "PYTHONPATH": str(ROOT)}

    def command(self):
        from hub.context import open_hub
        from hub.flow import administration, devices
        from hub.model.access import SYSTEM
        from hub.settings import load
        from hub.storage import migration
        hub = open_hub(replace(load(environ={}), data_dir=str(self.folder)))
        migration.migrate(hub.engine)
        site = administration.create_site(hub, SYSTEM, code="B", name="benchmark")
        devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="benchmark", ae_title="BENCH")
        hub.close()
        return [sys.executable, "-m", "hub", "gateway"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nothing listens on {port}")


def table(servers, counts, rates, chosen) -> list[str]:
    lines = [f"Instances per second, CT {chosen.side} x {chosen.side} x 16 bit, {chosen.each} per association, median of {chosen.rounds} rounds, loopback.", "",
             "| server | " + " | ".join(f"{n} association{'s' * (n > 1)}" for n in counts) + " |", "|---|" + "---|" * len(counts)]
    for name in servers:
        lines.append(f"| {name} | " + " | ".join(f"{median(rates[name, n]):.0f}" for n in counts) + " |")
    first, peer = list(servers)[:2]
    ratios = " | ".join(f"{median(rates[first, n]) / median(rates[peer, n]):.2f}" for n in counts)
    return [*lines, f"| hub / storescp | {ratios} |"]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
