"""Archive packing of originals: how small, how fast, JPEG-LS beside HTJ2K in one run, each proved bit for bit.

    python -m benchmarks.archive FOLDER_WITH_A_CT [MOST_FILES]

CPU time of one thread; "packed" is the whole way of a file: pack, synchronise, read back, unpack, hash. Writes its table to docs/benchmarks.md.
"""
from __future__ import annotations

import hashlib
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import dcmread

from benchmarks import page
from dicom_gateway import packing as packer
from dicom_gateway.prepare import htj2k
from hub.storage import packing
from hub.storage.blobs import Blobs

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
TARGET = 4.0


def main(folder: str, most: int = 200) -> None:
    files = [path for path in sorted(Path(folder).rglob("*.dcm")) if path.stat().st_size][:most]
    codecs = {
        "JPEG-LS (ITU-T T.87)": (imagecodecs.jpegls_encode, imagecodecs.jpegls_decode),
        "HTJ2K (ITU-T T.814)": (lambda frame: htj2k.encode(frame, reversible=True), htj2k.decode),
    }
    lines = [f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB. Ratio to reach on CT: {TARGET:g}.", "",
             "| what | ratio | write, MB/s | read, MB/s |", "|---|---|---|---|"]
    lines += [f"| pixels alone, {name} | {ratio:.2f} | {write:.0f} | {read:.0f} |" for name, (ratio, write, read) in
              ((name, _codec(files, *both)) for name, both in codecs.items())]
    ratio, write, read = _whole(files)
    lines.append(f"| whole files in the hub's store, proved | {ratio:.2f} | {write:.0f} | {read:.0f} |")
    print("\n".join(lines))
    page.put(PAGE, "Archive packing", lines)


def _codec(files: list[Path], encode: Callable, decode: Callable) -> tuple[float, float, float]:
    size = packed = 0
    write = read = 0.0
    for path in files:
        frame = dcmread(path).pixel_array
        frame = np.ascontiguousarray(frame.astype(np.int32) - int(frame.min()), np.uint16)
        began = time.process_time()
        stream = encode(frame)
        middle = time.process_time()
        again = decode(stream)
        read += time.process_time() - middle
        write += middle - began
        if not np.array_equal(again, frame):
            raise SystemExit(f"{path} did not come back")
        size, packed = size + frame.nbytes, packed + len(stream)
    return size / packed, size / write / 1e6, size / read / 1e6


def _whole(files: list[Path]) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as place:
        blobs, size, packed, write, read = Blobs(Path(place)), 0, 0, 0.0, 0.0
        for path in files:
            content = path.read_bytes()
            sha256 = blobs.keep(content).sha256
            began = time.process_time()
            made = packing.pack(blobs, sha256, "dicom")
            write += time.process_time() - began
            began = time.process_time()
            again = b"".join(packer.unpack(io.BytesIO(packing.packed_place(blobs.folder, sha256).read_bytes())))
            read += time.process_time() - began
            if hashlib.sha256(again).hexdigest() != sha256:
                raise SystemExit(f"{path} did not come back bit for bit")
            size, packed = size + made.size, packed + made.packed_size
    return size / packed, size / write / 1e6, size / read / 1e6


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
