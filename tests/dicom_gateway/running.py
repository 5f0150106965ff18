"""A gateway that runs inside the test, and what a test asks of it: objects to send and what was kept."""
import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from sqlalchemy import create_engine, make_url, select

from dicom_gateway import server
from dicom_gateway.requesting import REQUESTING
from hub.context import Hub, open_hub
from hub.flow import administration, devices
from hub.model.access import SYSTEM
from hub.settings import Settings
from hub.storage import migration, tables

DATABASE_SERVER = os.environ.get("HUB_TEST_DATABASE_URL", "")
SENDER = "TOWNSHIP_CT"


def peer(name: str) -> str:
    """The full path of a real peer (pynetdicom brings programs of the same names), or a skip with a reason."""
    path = f"/usr/bin/{name}"
    if not os.access(path, os.X_OK):
        pytest.skip(f"{path} is not installed")
    return path


@dataclass
class Gateway:
    hub: Hub
    port: int
    server: object

    def associate(self, *contexts, calling: str = SENDER, called: str = "HUB", max_pdu: int = 16382, extended: list | None = None):
        """An association of pynetdicom as a user; contexts are (class, syntax), ``extended`` items of extended negotiation."""
        entity = AE(ae_title=calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 120
        for sop_class, syntax in dict.fromkeys(contexts):
            entity.add_requested_context(sop_class, syntax)
        return entity.associate("127.0.0.1", self.port, ae_title=called, max_pdu=max_pdu, ext_neg=extended, evt_handlers=REQUESTING)

    def send(self, *objects: Dataset, **how) -> list[int]:
        """Sends data sets over one association and returns the statuses."""
        association = self.associate(*((o.SOPClassUID, o.file_meta.TransferSyntaxUID) for o in objects), **how)
        assert association.is_established, "not let in"
        try:
            return [association.send_c_store(one).get("Status") for one in objects]
        finally:
            association.release()

    def instance(self, sop_uid: str):
        with self.hub.reading() as connection:
            return connection.execute(select(tables.instance).where(tables.instance.c.sop_uid == sop_uid)).one_or_none()

    def study(self, study_uid: str):
        with self.hub.reading() as connection:
            return connection.execute(select(tables.study, tables.patient.c.name, tables.patient.c.name_as_sent)
                                      .join(tables.patient, tables.patient.c.id == tables.study.c.patient_id)
                                      .where(tables.study.c.study_uid == study_uid)).one_or_none()

    def held(self, reason: str) -> list:
        with self.hub.reading() as connection:
            return list(connection.execute(select(tables.held).where(tables.held.c.reason == reason).order_by(tables.held.c.id)))

    def kept(self, sop_uid: str) -> bytes:
        """The kept file of an instance."""
        return self.hub.blobs.read(self.instance(sop_uid).sha256)

    def half_written(self) -> list[Path]:
        return list(self.hub.blobs.incoming.iterdir())


@contextmanager
def running(folder: Path, **settings):
    """A gateway on a free port with one registered sender; everything is gone at the end."""
    url = _new_database() if DATABASE_SERVER else ""
    values = {"data_dir": str(folder), "database_url": url, "free_space_floor_mb": 0, "dicom_host": "127.0.0.1"} | settings
    hub = open_hub(replace(Settings(), dicom_port=0, **values))
    migration.migrate(hub.engine)
    site = administration.create_site(hub, SYSTEM, code="QS", name="青山镇卫生院")
    devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="青山 CT", ae_title=SENDER)
    started = server.start(hub)
    try:
        yield Gateway(hub, started.server_address[1], started)
    finally:
        started.shutdown()
        hub.close()
        if url:
            _drop_database(url)


def slice_of_ct(number: int = 1, study_uid: str = "", series_uid: str = "", side: int = 16, **more) -> Dataset:
    """One CT slice with UIDs of its own; its patient is one's own too, unless named."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid or generate_uid(), series_uid or generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality, ds.InstanceNumber = "Test^Slice", f"P{ds.StudyInstanceUID[-12:]}", "CT", number
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number * 5.0], [1, 0, 0, 0, 1, 0]
    ds.Rows = ds.Columns = side
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = number.to_bytes(2, "little") * side * side
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def as_file(ds: Dataset) -> bytes:
    output = BytesIO()
    ds.save_as(output, enforce_file_format=True)
    return output.getvalue()


def body(file: bytes) -> bytes:
    """The data set of a DICOM file: what follows group 0002 (PS3.10 7.1)."""
    assert file[128:132] == b"DICM" and file[132:140] == b"\x02\0\0\0UL\x04\0"
    return file[144 + int.from_bytes(file[140:144], "little"):]


def _new_database() -> str:
    name = f"hub_gateway_{uuid.uuid4().hex}"
    _on_server(f"CREATE DATABASE {name}")
    return make_url(DATABASE_SERVER).set(database=name).render_as_string(hide_password=False)


def _drop_database(url: str) -> None:
    _on_server(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


def _on_server(statement: str) -> None:
    engine = create_engine(make_url(DATABASE_SERVER).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
