"""A hub with the real CT, taken in and prepared through the hub's own verbs, and its DICOMweb door."""
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, request
from pydicom import dcmread

from dicom_gateway.jobs import prepare_study
from dicom_gateway.services.store import take_in
from dicom_gateway.web.routes import blueprint
from hub.context import Hub, open_hub
from hub.flow import administration, completion, devices, studies
from hub.flow.devices import Device
from hub.model.access import SYSTEM, Actor
from hub.settings import load
from hub.storage import migration

ACTORS = {
    "reader": Actor(None, "reader1", "reader"),
    "administrator": Actor(None, "admin1", "administrator"),
}


@dataclass
class House:
    """A hub with one site and one imaging device; ``app`` serves DICOMweb to the actor named in X-Person."""

    hub: Hub
    site: int
    device: Device
    token: str
    app: Flask
    actors: dict

    def send(self, content: bytes):
        return take_in(self.hub, self.device, self.hub.blobs.keep(content))

    def prepare(self, study_id: int) -> None:
        later = self.hub.at(lambda: self.hub.now() + timedelta(seconds=600))
        completion.close_quiet_studies(later)
        row = studies.find(self.hub, SYSTEM, study_id)
        prepare_study(self.hub, study_id, row.generation)
        assert studies.find(self.hub, SYSTEM, study_id).state == "ready"

    def get(self, path: str, person: str = "reader", **headers):
        return self.app.test_client().get(f"/dicomweb{path}", headers={"X-Person": person} | {k.replace("_", "-"): v for k, v in headers.items()})


def make_house(folder: Path) -> House:
    hub = open_hub(replace(load(environ={}), data_dir=str(folder), free_space_floor_mb=0))
    migration.migrate(hub.engine)
    site = administration.create_site(hub, SYSTEM, code="QS", name="青山镇卫生院")
    other = administration.create_site(hub, SYSTEM, code="BH", name="白河镇卫生院")
    devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="CT", ae_title="CT1")
    _, token = devices.register(hub, SYSTEM, site_id=site, kind="ecg", name="STOW")
    actors = ACTORS | {"clinic": Actor(None, "clinic1", "clinic", site), "other": Actor(None, "clinic2", "clinic", other)}
    app = Flask("test")
    app.register_blueprint(blueprint(hub, lambda: actors[request.headers.get("X-Person", "reader")]), url_prefix="/dicomweb")
    return House(hub, site, devices.admit(hub, "CT1", "127.0.0.1"), token, app, actors)


@pytest.fixture
def house(tmp_path):
    made = make_house(tmp_path)
    yield made
    made.hub.close()


@dataclass
class RealStudy:
    house: House
    uid: str
    series: str
    files: dict

    @property
    def path(self) -> str:
        return f"/studies/{self.uid}/series/{self.series}"


@pytest.fixture(scope="session")
def ct(real_data, tmp_path_factory) -> RealStudy:
    """Eight slices of the real chest CT, prepared; files by SOP Instance UID."""
    house = make_house(tmp_path_factory.mktemp("hub"))
    files, head = {}, None
    for path in sorted((real_data / "dicom" / "chest_ct").rglob("*.dcm"))[:8]:
        head = dcmread(path, stop_before_pixels=True)
        files[str(head.SOPInstanceUID)] = path
        taken = house.send(path.read_bytes())
    house.prepare(taken.study_id)
    yield RealStudy(house, str(head.StudyInstanceUID), str(head.SeriesInstanceUID), files)
    house.hub.close()
