"""What whoever asks over DICOM or the web is told of a study whose images were removed by rule: gone, not "never seen"."""
from datetime import UTC, datetime

import pytest
from flask import Flask
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET
from sqlalchemy import insert, update

from dicom_gateway.web.routes import blueprint
from hub.flow import completion, fixity, retention
from hub.flow.jobs import perform
from hub.model.access import SYSTEM, Actor
from hub.storage.tables import job, reading, study
from tests.dicom_gateway.county import ask
from tests.dicom_gateway.running import running, slice_of_ct
from tests.dicom_gateway.test_commitment import Modality, named
from tests.hub.arrivals import rows


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A gateway with a removed study of two slices, and one that is there."""
    with running(tmp_path_factory.mktemp("removed")) as gateway:
        gateway.sent = [slice_of_ct(n, "1.2.60", "1.2.60.1", SOPInstanceUID=f"1.2.60.1.{n}") for n in (1, 2)]
        for one in gateway.sent:
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        assert gateway.send(*gateway.sent, slice_of_ct(1, "1.2.61", "1.2.61.1", SOPInstanceUID="1.2.61.1.1")) == [0, 0, 0]
        study_id, now = gateway.study("1.2.60").id, gateway.hub.now()
        with gateway.hub.writing() as connection:
            connection.execute(update(study).where(study.c.id == study_id).values(state="ready", received_at=datetime(1990, 1, 1, tzinfo=UTC), study_at="1990-01-01"))
            connection.execute(insert(reading).values(study_id=study_id, state="final", rank=0, deadline_at=now, queued_at=now, changed_at=now))
            connection.execute(update(job).values(state="done"))
        assert retention.remove(gateway.hub, SYSTEM, [study_id], gateway.hub.rules.retention.version) == {study_id: ""}
        later = gateway.hub.at(lambda: datetime(2100, 1, 1, tzinfo=UTC))
        assert [perform(later, one.id) for one in rows(gateway.hub, job, job.c.kind == "remove_bytes")] == ["done"]
        app = Flask("removed")
        app.register_blueprint(blueprint(gateway.hub, lambda: Actor(None, "reader", "reader")), url_prefix="/dicomweb")
        gateway.web = app.test_client()
        yield gateway


def question(level: str, **values) -> Dataset:
    told = Dataset()
    told.QueryRetrieveLevel, told.InstanceAvailability = level, ""
    for keyword, value in values.items():
        setattr(told, keyword, value)
    return told


@pytest.mark.parametrize(("uid", "availability"), [("1.2.60", "UNAVAILABLE"), ("1.2.61", "ONLINE")])
def test_c_find_and_qido_know_the_study_and_say_whether_it_can_be_had(house, uid, availability):
    found, status = ask(house, FIND, question("STUDY", StudyInstanceUID=uid))
    assert status == 0 and [one.InstanceAvailability for one in found] == [availability]
    for path in (f"/studies?StudyInstanceUID={uid}", f"/studies/{uid}/series", f"/studies/{uid}/instances"):
        assert {one["00080056"]["Value"][0] for one in house.web.get(f"/dicomweb{path}").json} == {availability}, path


@pytest.mark.parametrize("path", ["", "/metadata", "/thumbnail", "/series/1.2.60.1", "/series/1.2.60.1/instances/1.2.60.1.1",
                                  "/series/1.2.60.1/instances/1.2.60.1.1/frames/1", "/series/1.2.60.1/instances/1.2.60.1.1/rendered"])
def test_wado_says_gone_with_the_day_and_the_rule(house, path):
    reply = house.web.get(f"/dicomweb/studies/1.2.60{path}")
    assert reply.status_code == 410 and reply.json["code"] == "removed" and "保存期限" in reply.json["zh"] and "rule image" in reply.json["en"]
    assert house.web.get("/dicomweb/studies/1.2.3.4.5").status_code == 404


def test_c_get_is_refused_with_a_reason(house):
    association = house.associate((GET, ExplicitVRLittleEndian), (CTImageStorage, ExplicitVRLittleEndian))
    answers = list(association.send_c_get(question("STUDY", StudyInstanceUID="1.2.60"), GET))
    association.release()
    assert answers[-1][0].Status not in (0x0000, 0xFF00) and "removed" in answers[-1][0].ErrorComment


def test_storage_commitment_of_a_removed_instance_fails(house):
    kind, report = Modality().ask(house, (CTImageStorage, "1.2.60.1.1"))
    assert kind == 2 and [uid for uid, _ in named(report.FailedSOPSequence)] == ["1.2.60.1.1"]


def test_a_removed_instance_that_is_sent_again_is_kept_aside_with_a_warning(house):
    assert house.send(house.sent[0]) == [0xB000]
    [kept] = house.held("removed_before")
    assert house.hub.blobs.fixity(kept.sha256)[0] == "intact"
    completion.close_quiet_studies(house.hub)
    fixity.check_everything(house.hub, lambda done, of: None)
    assert fixity.damaged(house.hub, SYSTEM) == [] and house.study("1.2.60").state == "ready"
