"""Time of a 500-slice study's metadata and of its frames over DICOMweb, in one process, without the network.

    python benchmarks/dicomweb_metadata.py FOLDER_WITH_ONE_CT_SLICE_OR_MORE [--slices 500] [--write docs/benchmarks.md]

Medians of: metadata before preparation, metadata right after the start of a process, metadata again, a prepared frame and
a frame decoded from the original, by the clock and in processor time. The target is 150 ms for the metadata of 500 slices.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flask import Flask
from pydicom import dcmread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.page import put  # noqa: E402
from dicom_gateway.jobs import prepare_study  # noqa: E402
from dicom_gateway.services.store import take_in  # noqa: E402
from dicom_gateway.web.routes import blueprint  # noqa: E402
from hub.context import open_hub  # noqa: E402
from hub.flow import administration, completion, devices, studies  # noqa: E402
from hub.model.access import SYSTEM, Actor  # noqa: E402
from hub.settings import load  # noqa: E402
from hub.storage import migration  # noqa: E402

PREPARED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
NATIVE = 'multipart/related; type="application/octet-stream"'


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--slices", type=int, default=500)
    options.add_argument("--write", type=Path)
    chosen, busy = options.parse_args(), os.getloadavg()[0]
    lines = [f"A study of {chosen.slices} CT slices in one process, without the network. Load of the machine before the run: {busy:.0f}.", "",
             "| what | ms by the clock | ms of processor time |", "|---|---|---|", *measured(chosen.folder, chosen.slices)]
    print("\n".join(lines))
    if chosen.write:
        put(chosen.write, "Metadata and frames over DICOMweb", lines)


def measured(folder: Path, slices: int) -> list[str]:
    with tempfile.TemporaryDirectory() as place:
        hub = open_hub(replace(load(environ={}), data_dir=place, free_space_floor_mb=0))
        migration.migrate(hub.engine)
        site = administration.create_site(hub, SYSTEM, code="A", name="A")
        devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="CT", ae_title="CT1")
        device = devices.admit(hub, "CT1", "127.0.0.1")
        files, last = sorted(folder.rglob("*.dcm")), None
        for number in range(slices):
            last = dcmread(files[number % len(files)])
            last.SOPInstanceUID = last.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.10.1.{number + 1}"
            last.InstanceNumber = number + 1
            last.save_as(Path(place) / "one.dcm")
            study_id = take_in(hub, device, hub.blobs.keep((Path(place) / "one.dcm").read_bytes())).study_id
        at = f"/dicomweb/studies/{last.StudyInstanceUID}"
        frame = f"{at}/series/{last.SeriesInstanceUID}/instances/{last.SOPInstanceUID}/frames/1"
        client = _client(hub)
        lines = [_line("metadata, not prepared", [_ms(client, at + "/metadata", 1)])]
        completion.close_quiet_studies(hub.at(lambda: hub.now() + timedelta(hours=1)))
        began = time.perf_counter(), time.process_time()
        prepare_study(hub, study_id, studies.find(hub, SYSTEM, study_id).generation)
        lines.append(_line("preparation of all slices", [tuple((now - then) * 1e3 for now, then in zip((time.perf_counter(), time.process_time()), began))]))
        lines.append(_line("metadata, new process, to reach: 150", [_ms(_client(hub), at + "/metadata", 1) for _ in range(5)]))
        client = _client(hub)
        client.get(at + "/metadata")
        lines += [_line("metadata, again", [_ms(client, at + "/metadata", 20)]), _line("frame, HTJ2K", [_ms(client, frame, 100, PREPARED)]),
                  _line("frame, from the original", [_ms(client, frame, 50, NATIVE)])]
        hub.close()
    return lines


def _client(hub):
    app = Flask("benchmark")
    app.register_blueprint(blueprint(hub, lambda: Actor(None, "reader", "reader")), url_prefix="/dicomweb")
    return app.test_client()


def _line(name: str, took: list[tuple[float, float]]) -> str:
    clock, processor = (statistics.median(values) for values in zip(*took))
    return f"| {name} | {clock:.1f} | {processor:.1f} |"


def _ms(client, path: str, times: int, accept: str = "*/*") -> tuple[float, float]:
    """Medians by the clock and in processor time."""
    took = []
    for _ in range(times):
        began = time.perf_counter(), time.process_time()
        reply = client.get(path, headers={"Accept": accept, "Accept-Encoding": "gzip"})
        took.append(tuple((now - then) * 1e3 for now, then in zip((time.perf_counter(), time.process_time()), began)))
        assert reply.status_code == 200 and reply.data
    clock, processor = zip(*took)
    return statistics.median(clock), statistics.median(processor)


if __name__ == "__main__":
    main()
