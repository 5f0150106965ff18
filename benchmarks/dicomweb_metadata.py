"""Time of a 500-slice study's metadata and of its frames over DICOMweb, in one process, without the network.

    python benchmarks/dicomweb_metadata.py FOLDER_WITH_ONE_CT_SLICE_OR_MORE [SLICES]

Prints medians of: metadata before preparation, metadata right after the start of a process, metadata again, a
prepared frame and a frame decoded from the original. The target is 150 ms for the metadata of 500 slices.
"""
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flask import Flask
from pydicom import dcmread

from dicom_gateway.jobs import prepare_study
from dicom_gateway.services.store import take_in
from dicom_gateway.web.routes import blueprint
from hub.context import open_hub
from hub.flow import administration, completion, devices, studies
from hub.model.access import SYSTEM, Actor
from hub.settings import load
from hub.storage import migration

PREPARED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
NATIVE = 'multipart/related; type="application/octet-stream"'


def main(folder: str, slices: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        hub = open_hub(replace(load(environ={}), data_dir=place))
        migration.migrate(hub.engine)
        site = administration.create_site(hub, SYSTEM, code="A", name="A")
        devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="CT", ae_title="CT1")
        device = devices.admit(hub, "CT1", "127.0.0.1")
        files, last = sorted(Path(folder).rglob("*.dcm")), None
        for number in range(slices):
            last = dcmread(files[number % len(files)])
            last.SOPInstanceUID = last.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.10.1.{number + 1}"
            last.InstanceNumber = number + 1
            last.save_as(Path(place) / "one.dcm")
            study_id = take_in(hub, device, hub.blobs.keep((Path(place) / "one.dcm").read_bytes())).study_id
        at = f"/dicomweb/studies/{last.StudyInstanceUID}"
        frame = f"{at}/series/{last.SeriesInstanceUID}/instances/{last.SOPInstanceUID}/frames/1"
        client = _client(hub)
        print(f"{slices} slices")
        print(f"metadata, not prepared  {_ms(client, at + '/metadata', 1):8.1f} ms")
        completion.close_quiet_studies(hub.at(lambda: hub.now() + timedelta(hours=1)))
        started = time.perf_counter()
        prepare_study(hub, study_id, studies.find(hub, SYSTEM, study_id).generation)
        print(f"preparation             {(time.perf_counter() - started) * 1e3:8.0f} ms in one process")
        cold = [_ms(_client(hub), at + "/metadata", 1) for _ in range(5)]
        print(f"metadata, new process   {statistics.median(cold):8.1f} ms")
        client = _client(hub)
        client.get(at + "/metadata")
        print(f"metadata, again         {_ms(client, at + '/metadata', 20):8.1f} ms")
        print(f"frame, HTJ2K            {_ms(client, frame, 100, PREPARED):8.2f} ms")
        print(f"frame, from original    {_ms(client, frame, 50, NATIVE):8.2f} ms")
        hub.close()


def _client(hub):
    app = Flask("benchmark")
    app.register_blueprint(blueprint(hub, lambda: Actor(None, "reader", "reader")), url_prefix="/dicomweb")
    return app.test_client()


def _ms(client, path: str, times: int, accept: str = "*/*") -> float:
    took = []
    for _ in range(times):
        started = time.perf_counter()
        reply = client.get(path, headers={"Accept": accept, "Accept-Encoding": "gzip"})
        took.append((time.perf_counter() - started) * 1e3)
        assert reply.status_code == 200 and reply.data
    return statistics.median(took)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500)
