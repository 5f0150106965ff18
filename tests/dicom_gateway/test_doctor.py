"""The device doctor: each fault is planted once and found by its name; a device without fault is called good."""
import subprocess
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from dicom_gateway import doctor
from dicom_gateway.dataset import read_header
from dicom_gateway.doctor_objects import judge_objects, look_at
from hub.flow import checkups, device_changes, devices
from hub.model.access import SYSTEM
from hub.model.checkup import LEVELS, of_json
from tests.dicom_gateway.running import as_file, peer, slice_of_ct
from tests.ports import free_port

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 5, 4, 9, 0, tzinfo=ZONE)
ROOT = "1.2.156.112605.4.7"
MADE = {"SpecificCharacterSet": "GB18030", "PatientName": "张^建国", "PatientID": "QS1", "StudyDescription": "胸部平扫"}


def whole_slice(number: int = 1, at: datetime = NOW, study: str = f"{ROOT}.1", **more) -> Dataset:
    """A CT slice as a good scanner writes it."""
    ds = slice_of_ct(number, study, f"{study}.1", side=512)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study}.1.{number}"
    ds.ContentDate, ds.ContentTime = at.strftime("%Y%m%d"), at.strftime("%H%M%S.000")
    for keyword in ("PatientBirthDate", "PatientSex", "ReferringPhysicianName", "StudyID", "AccessionNumber", "PositionReferenceIndicator"):
        setattr(ds, keyword, "")
    ds.StudyDate, ds.StudyTime, ds.SeriesNumber, ds.AcquisitionNumber = ds.ContentDate, ds.ContentTime, 1, 1
    ds.ImageType, ds.RescaleSlope, ds.RescaleIntercept, ds.FrameOfReferenceUID = ["ORIGINAL", "PRIMARY", "AXIAL"], 1, -1024, f"{ROOT}.9"
    ds.PixelSpacing, ds.SliceThickness, ds.KVP, ds.Manufacturer, ds.ManufacturerModelName = [0.7, 0.7], 5, 120, "NEUSOFT", "NeuViz 16"
    for keyword, value in (MADE | more).items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def judged(*objects: Dataset, received: datetime = NOW + timedelta(minutes=3), watched: bool = True, syntax: str = ExplicitVRLittleEndian) -> dict:
    """Code -> finding, of objects that went through bytes as those of a device do."""
    looks = [look_at(read_header(as_file(ds)), syntax, received, ZONE, 1) for ds in objects]
    return {one.code: one for one in judge_objects(looks, doctor.book(), watched)}


def test_a_good_scanner_has_nothing_but_good_findings():
    found = judged(*(whole_slice(n) for n in (1, 2, 3)))
    assert {one.level for one in found.values()} == {"good"}, found
    assert {"text.ok", "clock.ok", "patient.ok", "tags.ok", "pixels.spacing_ok", "pixels.positions_ok", "pixels.decodable", "uid.ok"} == set(found)


GB, UTF = "张建国".encode("gb18030").decode("latin-1"), "张建国".encode().decode("latin-1")
FAULTS = {
    "text.wrong": {"SpecificCharacterSet": "ISO_IR 100", "PatientName": GB, "StudyDescription": "胸部平扫".encode("gb18030").decode("latin-1")},
    "text.ascii": {"PatientName": "ZHANG^JIANGUO", "StudyDescription": "CHEST"},
    "patient.no_id": {"PatientID": ""},
    "patient.no_name": {"PatientName": "^^"},
    "tags.missing": {"RescaleSlope": None},
    "tags.absent": {"SliceThickness": None},
    "pixels.no_spacing": {"PixelSpacing": None},
    "pixels.odd_spacing": {"PixelSpacing": [700, 700]},
    "pixels.no_position": {"ImagePositionPatient": None},
    "pixels.class_of_modality": {"Modality": "MR"},
    "clock.none": {"ContentDate": "", "StudyDate": ""},
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_is_found_by_its_name(code):
    found = judged(whole_slice(**FAULTS[code]))
    assert code in found and found[code].level != "good"
    assert code.partition(".")[0] + ".ok" not in found


def test_what_is_wrong_with_the_characters_is_said_with_what_to_set():
    one = judged(whole_slice(**FAULTS["text.wrong"]))["text.wrong"]
    assert "ISO_IR 100" in one.zh and "GB18030" in one.zh and "GB18030" in one.todo_zh
    utf = judged(whole_slice(SpecificCharacterSet="ISO_IR 100", PatientName=UTF, StudyDescription="胸部平扫检查".encode().decode("latin-1")))["text.wrong"]
    assert "UTF-8" in utf.zh and "ISO_IR 192" in utf.todo_zh


@pytest.mark.parametrize("minutes, watched, code", [
    (-1, True, "clock.ok"), (0, True, "clock.ok"), (14, True, "clock.ok"), (-10, True, "clock.ahead"), (-480, True, "clock.zone"), (-478, False, "clock.zone"),
    (40, True, "clock.behind"), (40, False, "clock.ok"), (480, True, "clock.zone"), (480, False, "clock.ok"), (60 * 24 * 3, False, "clock.behind"),
    (-60 * 24 * 365, True, "clock.ahead")])
def test_the_clock_is_judged_by_how_soon_images_arrive(minutes, watched, code):
    assert [one for one in judged(whole_slice(), received=NOW + timedelta(minutes=minutes), watched=watched) if one.startswith("clock")] == [code]


def test_the_object_that_came_soonest_says_most_about_the_clock():
    late = [whole_slice(n, at=NOW - timedelta(days=n)) for n in (1, 2)]
    assert "clock.ok" in judged(*late, whole_slice(3))


@pytest.mark.parametrize("uid, code", [(f"{ROOT}.5", "uid.ok"), ("1.2.840.10008.5.1", "uid.reserved"), ("1.2.3.4", "uid.borrowed"),
                                       ("1.2.826.0.1.3680043.8.498.1", "uid.borrowed")])
def test_uids_of_others_are_noticed(uid, code):
    assert code in judged(whole_slice(study=uid))


def test_one_uid_for_study_series_and_object_is_noticed():
    assert "uid.same" in judged(whole_slice(SeriesInstanceUID=f"{ROOT}.1"))


def test_slices_at_one_place_are_counted_unless_they_are_of_several_phases():
    same = [whole_slice(n, ImagePositionPatient=[0, 0, 5]) for n in (1, 2, 3)]
    assert "2" in judged(*same)["pixels.same_place"].zh
    phases = [whole_slice(n, ImagePositionPatient=[0, 0, 5], AcquisitionNumber=n) for n in (1, 2, 3)]
    assert "pixels.positions_ok" in judged(*phases)


def test_a_scout_is_not_asked_for_what_slices_have():
    scout = whole_slice(9, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImagePositionPatient=None)
    assert "pixels.positions_ok" in judged(whole_slice(1), whole_slice(2), scout)


def test_a_syntax_that_nobody_can_show_is_named():
    found = judged(whole_slice(), syntax="1.2.840.10008.1.2.4.100")
    assert "MPEG2" in found["pixels.undecodable"].zh
    assert "pixels.decodable" in judged(whole_slice(), syntax=JPEG2000Lossless)


def test_junk_in_every_element_stops_no_check():
    ds = read_header(as_file(whole_slice()))
    from pydicom.dataelem import RawDataElement
    for tag in list(ds.keys()):
        element = ds.get_item(tag)
        if isinstance(element, RawDataElement):
            ds._dict[tag] = element._replace(value=b"\xff\xfe\x00junk\\\\")
    look = look_at(ds, "", NOW, ZONE, 1)
    assert judge_objects([look], doctor.book(), True)


def test_every_rule_of_the_book_speaks_both_languages_and_says_what_to_do_about_a_fault():
    import ecg.doctor
    for book in (doctor.book(), ecg.doctor.book()):
        assert book.version and book.source
        for code, rule in book.words.items():
            assert rule["zh"] and rule["en"] and rule["level"] in LEVELS, code
            assert (rule["level"] in ("good", "info")) or (rule["todo_zh"] and rule["todo_en"]), code
            assert set(_places(rule["zh"])) - {"why_zh", "which_zh", "span_zh"} == set(_places(rule["en"])) - {"why_en", "which_en", "span_en"}, code


def _places(text: str) -> list[str]:
    import string
    return [name for _, name, _, _ in string.Formatter().parse(text) if name]


@pytest.fixture
def scanner(gateway):
    made = f"DOC{time.monotonic_ns() % 10**9}"
    device_id, _ = devices.register(gateway.hub, SYSTEM, site_id=1, kind="dicom", name="16 排 CT", ae_title=made)
    return device_id, made


def examined(gateway, device_id, **how) -> dict:
    gateway.server.ledger.write()
    return {one.code: one for one in doctor.examine(gateway.hub, SYSTEM, device_id, **how).findings}


def _study(gateway) -> str:
    return f"{ROOT}.{time.monotonic_ns()}"


def test_a_device_that_never_called_is_told_how_to_begin(gateway, scanner):
    found = doctor.examine(gateway.hub, SYSTEM, scanner[0])
    assert "arrival.nothing" in {one.code for one in found.findings} and found.verdict == "none"


def test_a_device_that_only_echoes_and_one_that_is_refused_are_told_apart(gateway, scanner):
    device_id, title = scanner
    association = gateway.associate((Verification, "1.2.840.10008.1.2"), calling=title)
    association.release()
    until = time.monotonic() + 120
    while "arrival.nothing_but_calls" not in examined(gateway, device_id):
        assert time.monotonic() < until
        time.sleep(0.05)
    device_changes.set_rules(gateway.hub, SYSTEM, device_id, {"called_titles": "COUNTY"})
    assert gateway.associate((Verification, "1.2.840.10008.1.2"), calling=title).is_rejected
    found = examined(gateway, device_id)
    assert "AE 标题" in found["line.refused"].zh and "arrival.refused_only" in found


def test_what_was_sent_through_the_door_is_judged_with_the_line_that_it_came_over(gateway, scanner):
    device_id, title = scanner
    study = _study(gateway)
    sent = [whole_slice(n, at=datetime.now(ZONE), study=study) for n in (1, 2, 3)]
    assert gateway.send(*sent, sent[0], calling=title, called="ANY", max_pdu=8000) == [0] * 4
    until = time.monotonic() + 120
    while "line.small_pdu" not in examined(gateway, device_id):
        assert time.monotonic() < until
        time.sleep(0.05)
    found = examined(gateway, device_id)
    assert {"arrival.stored", "arrival.duplicates", "line.called", "line.small_pdu", "line.any_address", "line.plain", "text.ok", "clock.ok", "tags.ok"} <= set(found)
    assert "ANY" in found["line.called"].zh
    seen = dict((en, value) for _, en, value in doctor.examine(gateway.hub, SYSTEM, device_id).seen)
    assert seen["model"] == "NEUSOFT NeuViz 16" and seen["SOP classes"] == "CT Image Storage"


def test_a_sample_looks_at_what_comes_after_its_beginning_only(gateway, scanner):
    device_id, title = scanner
    assert gateway.send(whole_slice(study=_study(gateway), PatientID=""), calling=title) == [0]
    check_id = checkups.begin_sample(gateway.hub, SYSTEM, device_id)
    open_one = checkups.open_sample(gateway.hub, SYSTEM, device_id)
    assert doctor.examine(gateway.hub, SYSTEM, device_id, after=open_one.after_instance).objects == 0
    assert gateway.send(whole_slice(study=_study(gateway), at=datetime.now(ZONE)), calling=title) == [0]
    result = doctor.examine(gateway.hub, SYSTEM, device_id, after=open_one.after_instance)
    assert result.objects == 1 and "patient.ok" in {one.code for one in result.findings}
    for _ in range(2):
        checkups.end_sample(gateway.hub, SYSTEM, check_id, result)
    assert checkups.open_sample(gateway.hub, SYSTEM, device_id) is None
    (kept,) = checkups.checks(gateway.hub, SYSTEM, device_id)
    assert of_json(kept.result) == result and kept.verdict == result.verdict


@pytest.fixture
def listening(monkeypatch):
    monkeypatch.setattr(doctor, "ECHO_TIMEOUT_S", 60)       # of a busy machine
    heard = []
    entity = AE(ae_title="SCANNER")
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda event: heard.append(event.assoc.requestor.ae_title) or 0)])
    yield server.server_address[1], heard, entity
    server.shutdown()


def test_the_device_is_called_where_it_listens(gateway, scanner, listening):
    device_id, _ = scanner
    port, heard, entity = listening
    assert "line.echo_unset" in examined(gateway, device_id)
    device_changes.set_rules(gateway.hub, SYSTEM, device_id, {"address": "127.0.0.1", "port": str(port)})
    assert "line.echo_ok" in examined(gateway, device_id) and heard == ["HUB"]
    entity.require_calling_aet = ["SOMEBODY"]
    assert "HUB" in examined(gateway, device_id)["line.echo_refused"].todo_zh
    device_changes.set_rules(gateway.hub, SYSTEM, device_id, {"address": "127.0.0.1", "port": "1"})
    assert "line.echo_away" in examined(gateway, device_id)
    assert not any(code.startswith("line.echo") for code in examined(gateway, device_id, call=False))


@pytest.mark.peers
def test_a_real_storescp_answers_the_call(gateway, scanner, tmp_path):
    port = free_port()
    with subprocess.Popen([peer("storescp"), "-od", str(tmp_path), str(port)]) as process:
        try:
            until = time.monotonic() + 120
            while doctor.echo(gateway.hub, "127.0.0.1", port, "STORESCP") != "ok":
                assert time.monotonic() < until
                time.sleep(0.1)
        finally:
            process.terminate()
