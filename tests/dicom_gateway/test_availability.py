"""A listener of our own is told by N-CREATE that a study is ready; when it is away or refuses, that is kept and tried again."""
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import InstanceAvailabilityNotification, Verification

from hub.errors import Invalid
from hub.flow import administration, availability, completion, dispatch, jobs, preparation
from hub.storage import tables
from tests.hub.arrivals import PATIENT, close_and_prepare, queued_ct, rows, send, send_ct, signed_report, slice_facts, study_row


class Listener:
    """The clinic's own archive: hears notifications and answers with ``status``."""

    def __init__(self, supported=InstanceAvailabilityNotification, status: int = 0x0000):
        self.heard, self.status = [], status
        entity = AE(ae_title="CLINIC_PACS")
        entity.add_supported_context(supported)
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_CREATE, self._hear)])
        self.port = self.server.server_address[1]

    def _hear(self, event):
        self.heard.append(event.attribute_list)
        return self.status, Dataset() if self.status else event.attribute_list

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def asked_for(hub, county, port: int) -> int:
    return administration.add_destination(hub, county.administrator, county.qingshan, "availability",
                                          {"ae_title": "CLINIC_PACS", "host": "127.0.0.1", "port": port})


def run_jobs(hub) -> None:
    for job in rows(hub, tables.job, tables.job.c.kind == "announce", tables.job.c.state == "due", tables.job.c.due_at <= hub.now()):
        jobs.perform(hub, job.id)


def test_a_study_that_is_ready_is_announced_with_every_instance(hub, county, clock):
    with Listener() as listener:
        asked_for(hub, county, listener.port)
        queued_ct(hub, county, clock)
        run_jobs(hub)
        (told,) = listener.heard
    assert told.StudyInstanceUID == "1.2.3" and told.ReferencedPerformedProcedureStepSequence == []
    (series,) = told.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.3.1"
    assert [one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence] == ["1.2.3.1.1", "1.2.3.1.2", "1.2.3.1.3"]
    assert {(one.InstanceAvailability, one.RetrieveAETitle, one.ReferencedSOPClassUID) for one in series.ReferencedSOPSequence} == {
        ("ONLINE", "HUB", "1.2.840.10008.5.1.4.1.1.2")}
    (notice,) = availability.listed(hub, county.administrator)
    assert (notice.state, notice.attempts, notice.error) == ("delivered", 1, "")


def test_a_listener_that_cannot_take_it_now_is_told_again_after_a_pause(hub, county, clock):
    with Listener(status=0x0110) as listener:
        asked_for(hub, county, listener.port)
        queued_ct(hub, county, clock)
        run_jobs(hub)
        (notice,) = availability.listed(hub, county.administrator)
        assert (notice.state, notice.attempts) == ("due", 1) and "0110" in notice.error
        listener.status = 0x0000
        run_jobs(hub)
        assert len(listener.heard) == 1, "not before the pause is over"
        clock.forward(seconds=5)
        run_jobs(hub)
    (notice,) = availability.listed(hub, county.administrator)
    assert len(listener.heard) == 2 and (notice.state, notice.attempts, notice.error) == ("delivered", 2, "")


def test_a_listener_that_is_away_is_tried_again(hub, county, clock):
    asked_for(hub, county, 1)
    queued_ct(hub, county, clock)
    run_jobs(hub)
    (notice,) = availability.listed(hub, county.administrator)
    assert (notice.state, notice.attempts) == ("due", 1) and "CLINIC_PACS" in notice.error


def test_a_refusal_is_shown_and_sent_again_by_a_person(hub, county, clock):
    with Listener(status=0x0106) as one:
        asked_for(hub, county, one.port)
        queued_ct(hub, county, clock)
        run_jobs(hub)
        (notice,) = availability.listed(hub, county.administrator)
        assert notice.state == "refused" and "0106" in notice.error
        one.status = 0x0000
        availability.resend(hub, county.administrator, notice.id)
        run_jobs(hub)
    assert availability.listed(hub, county.administrator)[0].state == "delivered" and len(one.heard) == 2


def test_a_listener_without_the_service_is_tried_again(hub, county, clock):
    with Listener(Verification) as one:
        asked_for(hub, county, one.port)
        queued_ct(hub, county, clock)
        run_jobs(hub)
    assert availability.listed(hub, county.administrator)[0].state == "due"


def test_what_does_not_arrive_for_long_is_overdue(hub, county, clock):
    asked_for(hub, county, 1)
    queued_ct(hub, county, clock)
    run_jobs(hub)
    clock.forward(hours=73)
    assert availability.NOTICES.mark_overdue(hub) == 1
    assert availability.listed(hub, county.administrator)[0].state == "overdue"


def test_a_late_slice_is_announced_again_and_the_older_word_withdrawn(hub, county, clock):
    asked_for(hub, county, 1)
    study_id = send_ct(hub, county.ct)
    close_and_prepare(hub, clock, study_id)
    send(hub, county.ct, slice_facts(4))
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    row = study_row(hub, study_id)
    assert preparation.begin(hub, study_id, row.generation) is not None and preparation.finish(hub, study_id, row.generation, [], [])
    newest, oldest = availability.listed(hub, county.administrator)
    assert (newest.state, oldest.state) == ("due", "withdrawn") and newest.generation > oldest.generation


def test_only_the_sites_own_destinations_are_told_and_reports_do_not_go_there(hub, county, clock):
    asked_for(hub, county, 1)
    queued_ct(hub, county, clock, "1.2.9", device=county.other_ct, patient=PATIENT)
    assert availability.listed(hub, county.administrator) == []
    report_id = signed_report(hub, county, clock)
    dispatch.issue_letter(hub, report_id)
    assert [one.channel for one in dispatch.of_report(hub, county.reader, report_id)] == ["portal"]


def test_a_destination_needs_a_port_that_is_one(hub, county):
    with pytest.raises(Invalid):
        administration.add_destination(hub, county.administrator, county.qingshan, "availability", {"ae_title": "A", "host": "h", "port": "x"})
