"""One multi-frame object of two gigabytes by C-STORE: seconds, the gateway's memory, and whether every byte is there.

    python benchmarks/two_gigabytes.py [--frames 4096] [--write docs/benchmarks.md]

4,096 frames of 512 x 512 x 16 bit in one enhanced CT object, sent in PDUs as long as the gateway takes. The same gateway
first takes one object of a single frame, so that what memory is held for the big one can be told. The stored file is
hashed again and compared with what was sent.
"""
from __future__ import annotations

import argparse
import hashlib
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, generate_uid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.page import put  # noqa: E402
from benchmarks.store_servers import CALLER, Hub  # noqa: E402
from hub.model.part10 import HEAD_BYTES, data_set_at  # noqa: E402
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, EXPLICIT, P_DATA_TF, Wire, command, pdu, pdv  # noqa: E402

FRAME = np.random.default_rng(1).integers(0, 4096, (512, 512), dtype="<u2").tobytes()
LONGEST_PDU = 131072
PATIENCE_S = 600


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=4096)
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    place = Path(tempfile.mkdtemp(prefix="large-bench-"))
    server = Hub(place / "hub")
    lines = ["| object | seconds | MB a second | gateway CPU, s | gateway memory at most, MB | bytes as sent |", "|---|---|---|---|---|---|"]
    try:
        for frames in (1, chosen.frames):
            spent = server.cpu_s()
            began = time.perf_counter()
            sent, size = send(server, frames)
            took = time.perf_counter() - began
            spent = server.cpu_s() - spent
            lines.append(f"| {frames:,} frame{'s' * (frames > 1)}, {size / 1e6:,.1f} MB | {took:.1f} | {size / took / 1e6:.0f} | {spent:.1f} | "
                         f"{server.most_mb():.0f} | {'yes' if sent in kept(server.folder) else 'NO'} |")
    finally:
        server.stop()
        shutil.rmtree(place, ignore_errors=True)
    print("\n".join(lines))
    if chosen.write:
        put(chosen.write, "An object of two gigabytes", lines)


def send(server: Hub, frames: int) -> tuple[str, int]:
    """Sends one object; returns SHA-256 and size of its data set."""
    uid, counted, size = generate_uid(), hashlib.sha256(), 0
    with Wire(server.port, PATIENCE_S) as line:
        if line.associate(CALLER, server.title, ((1, EnhancedCTImageStorage, EXPLICIT),)) != A_ASSOCIATE_AC:
            raise SystemExit("the association was refused")
        line.socket.sendall(pdu(P_DATA_TF, pdv(1, 0x03, command(EnhancedCTImageStorage, uid))))
        waiting = bytearray()
        for piece in data_set(uid, frames):
            counted.update(piece)
            size += len(piece)
            waiting += piece
            while len(waiting) > LONGEST_PDU - 6:
                line.socket.sendall(pdu(P_DATA_TF, pdv(1, 0x00, bytes(waiting[:LONGEST_PDU - 6]))))
                del waiting[:LONGEST_PDU - 6]
        line.socket.sendall(pdu(P_DATA_TF, pdv(1, 0x02, bytes(waiting))))
        if status := line.status():
            raise SystemExit(f"answered with {status:04X}H")
        line.release()
    return counted.hexdigest(), size


def data_set(uid: str, frames: int) -> Iterator[bytes]:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = EnhancedCTImageStorage, uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.StudyDate, ds.StudyTime, ds.Modality, ds.PatientName, ds.PatientID = "20260504", "083000", "CT", "Bench^Large", "L1"
    ds.NumberOfFrames, ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = frames, 512, 512, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    head = BytesIO()
    dcmwrite(head, ds, implicit_vr=False, little_endian=True)
    yield head.getvalue() + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, len(FRAME) * frames)
    for _ in range(frames):
        yield FRAME


def kept(folder: Path) -> set[str]:
    """SHA-256 of the data set of every stored file."""
    found = set()
    for path in (folder / "blobs").glob("??/*"):
        with path.open("rb") as file:
            file.seek(data_set_at(file.read(HEAD_BYTES)))
            counted = hashlib.sha256()
            while piece := file.read(1 << 20):
                counted.update(piece)
        found.add(counted.hexdigest())
    return found


if __name__ == "__main__":
    main()
