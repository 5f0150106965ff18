"""C-STORE: instances per second of the hub's gateway against real peers, in one run.

    python benchmarks/dicom_store.py [--associations 1,4,16] [--each 40] [--sides 512,98] [--rounds 3] [--sender storescu|light]
                                     [--like FOLDER_WITH_CT_SLICES] [--write docs/benchmarks.md]

Senders are DCMTK's storescu, one process per association, or the light sender of this folder, which leaves nearly the whole
machine to the server; TCP_NODELAY=1 is set on both sides of every server. The
servers take turns, rounds are interleaved, medians are printed, with the processor time that each server spends on an
object, its memory, and the time to set up an association that proposes 128 contexts. The hub answers after the blob
is synchronised to disk and its row is committed. A peer that is not installed is named as such.
Files are removed only at the end: removing many makes ext4 slow for minutes.
"""
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.store_servers import CALLER, SERVERS, Hub, Server  # noqa: E402
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, A_RELEASE_RP, CT, EXPLICIT, Wire  # noqa: E402

STORESCU = "/usr/bin/storescu"
REAL = 0                      # in place of the pixels a side
REACH = {512: {"DCMTK storescp": "0.8", "Orthanc": "5; 3 at one", "plain pynetdicom": "12"},
         98: {"DCMTK storescp": "0.4", "Orthanc": "8; 3 at one"}}
REACH[REAL] = REACH[512]
SET_UPS = 20
SENT_BY = {"storescu": "DCMTK storescu (its start and set-up included)", "light": "a light sender (prepared bytes, set-up not included)"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--associations", default="1,4,16")
    options.add_argument("--each", type=int, default=40, help="instances per association")
    options.add_argument("--sides", default="512,98", help="pixels a side; 512 is a CT slice, 98 an object of 20 KB")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--servers", default="", help="only those whose name contains one of these words")
    options.add_argument("--sender", choices=("storescu", "light"), default="storescu")
    options.add_argument("--like", type=Path, help="send real slices of this folder, with UIDs of their own, in place of made ones of every side")
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    if chosen.like:
        chosen.sides = str(REAL)
    counts, sides = ([int(n) for n in words.split(",")] for words in (chosen.associations, chosen.sides))
    place, busy = Path(tempfile.mkdtemp(prefix="store-bench-")), os.getloadavg()[0]
    names = [name for name in SERVERS if not chosen.servers or any(word in name for word in chosen.servers.split(","))]
    servers: dict[str, Server | None] = {name: SERVERS[name](place / str(n)) if SERVERS[name].is_installed() else None
                                         for n, name in enumerate(names)}
    running = {name: server for name, server in servers.items() if server is not None}
    rates = {(name, side, n): [] for name in running for side in sides for n in counts}
    cpu = {(name, side): [0.0, 0] for name in running for side in sides}
    try:
        for _ in range(chosen.rounds):
            for side in sides:
                for n in counts:
                    for name, server in running.items():
                        to = place / "send" / generate_uid()
                        files = real_files(to, n, chosen.each, chosen.like) if side == REAL else make_files(to, n, chosen.each, side)
                        before = server.cpu_s()
                        rates[name, side, n].append(MEASURES[chosen.sender](server, files, n * chosen.each))
                        cpu[name, side][0] += server.cpu_s() - before
                        cpu[name, side][1] += n * chosen.each
        extra = {name: (set_up_ms(server), server.most_mb()) for name, server in running.items()}
    finally:
        for server in running.values():
            server.stop()
    for side in sides:
        lines = table(servers, counts, side, rates, cpu, extra, chosen, busy)
        print("\n".join(lines) + "\n")
        if chosen.write:
            from benchmarks.page import put
            put(chosen.write, ("C-STORE, real slices" if side == REAL else f"C-STORE, {side} x {side}") + ", light sender" * (chosen.sender == "light"), lines)
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
            ds.StudyDate, ds.StudyTime, ds.ContentTime = "20260504", "083000", f"0830{index % 60:02}"
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


def real_files(folder: Path, associations: int, each: int, like: Path) -> list[Path]:
    """As ``make_files``, of the slices in ``like``, again from the first where they are too few."""
    slices, folders = sorted(path for path in like.rglob("*") if path.is_file()), []
    for number in range(associations):
        study, series = generate_uid(), generate_uid()
        (own := folder / str(number)).mkdir(parents=True)
        for index in range(each):
            ds = dcmread(slices[index % len(slices)])
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID, ds.InstanceNumber = study, series, f"B{number}", index + 1
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ds.save_as(own / f"{index}.dcm", enforce_file_format=True)
        folders.append(own)
    return folders


def by_storescu(server: Server, folders: list[Path], total: int) -> float:
    """Instances per second, from the start of the first sender to the end of the last."""
    environment = dict(os.environ, TCP_NODELAY="1")
    began = time.perf_counter()
    senders = [subprocess.Popen([STORESCU, "+sd", "-aet", CALLER, "-aec", server.title, "127.0.0.1", str(server.port), str(folder)],
                                env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for folder in folders]
    failed = sum(sender.wait() != 0 for sender in senders)
    took = time.perf_counter() - began
    if failed:
        raise SystemExit(f"{failed} senders to {server.title} failed")
    return total / took


def by_light_sender(server: Server, folders: list[Path], total: int) -> float:
    """Instances per second, from the first object to the last answer; reading files and setting up are not counted."""
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("light_sender.py")), str(server.port), server.title, CALLER,
                           *map(str, folders)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the light sender to {server.title} failed: {done.stderr.strip()[-300:]}")
    return total / float(done.stdout)


MEASURES = {"storescu": by_storescu, "light": by_light_sender}


def set_up_ms(server: Server) -> float:
    """Milliseconds from connecting to the acceptance of 128 contexts, the median of SET_UPS."""
    contexts, took = [(n, CT, EXPLICIT) for n in range(1, 256, 2)], []
    for _ in range(SET_UPS):
        began = time.perf_counter()
        with Wire(server.port) as wire:
            if wire.associate(CALLER, server.title, contexts) != A_ASSOCIATE_AC:
                raise SystemExit(f"{server.title} does not accept 128 contexts")
            took.append(time.perf_counter() - began)
            assert wire.release() == A_RELEASE_RP
    return median(took) * 1000


def table(servers, counts, side, rates, cpu, extra, chosen, busy: float) -> list[str]:
    what = "real CT slices of 512 x 512" if side == REAL else f"CT {side} x {side} x 16 bit"
    lines = [f"Instances per second, {what}, {chosen.each} per association, median of {chosen.rounds} rounds, loopback, sent by {SENT_BY[chosen.sender]}.",
             f"Load of the machine before the run: {busy:.0f} (on a busy one all servers come closer together than they are).", "",
             "| server | " + " | ".join(f"{n} association{'s' * (n > 1)}" for n in counts)
             + " | server CPU, ms an object | set-up, ms | most memory, MB |", "|---|" + "---|" * (len(counts) + 3)]
    for name, server in servers.items():
        if server is None:
            lines.append(f"| {name} | not installed here |" + " |" * (len(counts) + 2))
            continue
        spent, objects = cpu[name, side]
        figures = [f"{median(rates[name, side, n]):.0f}" for n in counts]
        figures += ["not known" if spent != spent else f"{spent / objects * 1000:.2f}", f"{extra[name][0]:.1f}", f"{extra[name][1]:.0f}"]
        lines.append(f"| {name} | " + " | ".join(figures) + " |")
    hub = next((name for name in servers if SERVERS[name] is Hub), None)
    for peer, server in servers.items():
        if hub and server is not None and peer != hub:
            ratios = [median([a / b for a, b in zip(rates[hub, side, n], rates[peer, side, n])]) for n in counts]
            short = peer.partition(" (")[0]
            reach = next((f", to reach: {what}" for word, what in REACH.get(side, {}).items() if word in peer), "")
            lines.append(f"| hub / {short}{reach} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " | | | |")
    return lines


if __name__ == "__main__":
    main()
