"""kill -9 and power cuts under load: how much of what the gateway has acknowledged is gone afterwards.

    python benchmarks/dicom_faults.py [--kills 1000] [--cuts 20] [--senders 16] [--write docs/benchmarks.md]

Killed at random moments while the senders send; the gateway starts again on the same data each time. The power is cut
on an ext4 file system in a file (EXT4_IOC_SHUTDOWN without flushing the journal): whatever was not brought to the device
is dropped, and the journal is replayed when it is mounted again. The disk under it is taken to keep what it was given:
a cache inside the disk that forgets in spite of a flush is not simulated. Mounting needs root. Afterwards every
acknowledged instance must be there bit for bit, and no row may stand without its blob. To see that the cut can tell,
the last line of the table is a gateway whose fsync does nothing.
"""
from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hub.context import open_hub  # noqa: E402
from hub.settings import Settings  # noqa: E402
from tests.dicom_gateway import faults  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=1000)
    options.add_argument("--cuts", type=int, default=20)
    options.add_argument("--senders", type=int, default=16)
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    place = Path(tempfile.mkdtemp(prefix="fault-bench-"))
    lines = [f"{chosen.senders} associations send CT slices of 64 x 64; the database is SQLite.", "",
             "| fault | times | acknowledged | acknowledged and gone, or a row without its blob |", "|---|---|---|---|"]
    try:
        if chosen.kills:
            lines.append(row("kill -9 at a random moment", chosen.kills, *kills(place / "kills", chosen.kills, chosen.senders)))
        if chosen.cuts:
            lines.append(row("power cut, ext4", chosen.cuts, *cuts(place / "cuts", chosen.cuts, chosen.senders, "")))
            lines.append(row("power cut, ext4, a gateway that does not synchronise", 2, *cuts(place / "plant", 2, chosen.senders, faults.FORGETFUL)))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print("\n".join(lines))
    if chosen.write:
        from benchmarks.page import put
        put(chosen.write, "Faults under load", lines)


def kills(place: Path, times: int, senders: int) -> tuple[int, int]:
    settings, dice = Settings(data_dir=str(place), free_space_floor_mb=0), random.Random()
    gateway = faults.prepared(settings)

    def at_a_random_moment():
        time.sleep(dice.random() * 0.5)
        gateway.kill()

    for number in range(1, times + 1):
        gateway.start()
        gateway.load(senders, 20, at_a_random_moment)
        if number % 100 == 0:
            print(f"{number} kills, {len(gateway.acknowledged):,} acknowledged, {count(settings, gateway)} gone", file=sys.stderr, flush=True)
    return len(gateway.acknowledged), count(settings, gateway)


def cuts(place: Path, times: int, senders: int, prelude: str) -> tuple[int, int]:
    with faults.disk(place, 2048) as disk:
        settings = Settings(data_dir=str(disk.folder / "data"), free_space_floor_mb=0)
        gateway, gone, known = faults.prepared(settings, prelude), 0, 0
        for _ in range(times):
            try:
                faults.cut_once(disk, gateway, senders, 100)
            except AssertionError:
                if not prelude:
                    raise
                break                # without synchronisation even the database does not open again
            gone, known = count(settings, gateway), len(gateway.acknowledged)
        return known, gone


def count(settings: Settings, gateway: faults.Gateway) -> int:
    hub = open_hub(settings)
    try:
        return len(faults.lost(hub, gateway.acknowledged))
    finally:
        hub.close()


def row(fault: str, times: int, acknowledged: int, gone: int) -> str:
    return f"| {fault} | {times} | {acknowledged:,} | {gone:,} |"


if __name__ == "__main__":
    main()
