"""Every key of a query at every level of both information models, by C-FIND and by QIDO-RS, against an answer worked out from what
was sent; and every level of both models by C-GET and C-MOVE."""
from fnmatch import fnmatchcase
from itertools import count

import pytest
from flask import Flask
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind as PATIENT_ROOT
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as STUDY_ROOT

from dicom_gateway.web.routes import blueprint
from hub.model.access import Actor
from tests.dicom_gateway.running import as_file, body, running, slice_of_ct
from tests.dicom_gateway.test_find import LEVEL_UID, found_as_negotiated, keys
from tests.dicom_gateway.test_retrieve import GET, MOVE, PATIENT_GET, PATIENT_MOVE, Receiver, counts, destination, get, move, wish

TITLES = count()
WEB = {"STUDY": ("/studies", "0020000D"), "SERIES": ("/series", "0020000E"), "IMAGE": ("/instances", "00080018")}
PATIENTS = {
    "Z1": dict(SpecificCharacterSet="GB18030", PatientName="张^三", PatientSex="M", PatientBirthDate="19600229"),
    "Z2": dict(SpecificCharacterSet="ISO_IR 192", PatientName="李^四", PatientSex="F", PatientBirthDate="19751101"),
    "Y1": dict(PatientName="WANG^WU", PatientSex="O", PatientBirthDate="20010704"),
}
STUDIES = {      # of whom, when, what
    "1.2.1": ("Z1", dict(StudyDate="20260301", StudyTime="080000", AccessionNumber="A-100", StudyDescription="胸部平扫", StudyID="11",
                         ReferringPhysicianName="欧阳^明", InstitutionName="青山镇卫生院")),
    "1.2.2": ("Z1", dict(StudyDate="20260405", StudyTime="231500", AccessionNumber="A-200", StudyDescription="头颅平扫", StudyID="12",
                         ReferringPhysicianName="赵^云", InstitutionName="青山镇卫生院")),
    "1.2.3": ("Z2", dict(StudyDate="20260405", StudyTime="120000.5", AccessionNumber="B-100", StudyDescription="CHEST", StudyID="21",
                         ReferringPhysicianName="赵^云", InstitutionName="QS")),
    "1.2.4": ("Y1", dict(StudyDate="20251231", AccessionNumber="", StudyDescription="CHEST PA", StudyID="", ReferringPhysicianName="", InstitutionName="QS")),
}
SERIES = {
    "1.2.1.1": ("1.2.1", dict(Modality="CT", SeriesNumber="1", SeriesDescription="LUNG 1.0", BodyPartExamined="CHEST"), 3),
    "1.2.1.2": ("1.2.1", dict(Modality="SR", SeriesNumber="99", SeriesDescription="DOSE", BodyPartExamined=""), 1),
    "1.2.2.1": ("1.2.2", dict(Modality="CT", SeriesNumber="1", SeriesDescription="BRAIN", BodyPartExamined="HEAD"), 2),
    "1.2.3.1": ("1.2.3", dict(Modality="DX", SeriesNumber="1", SeriesDescription="PA", BodyPartExamined="CHEST"), 1),
    "1.2.3.2": ("1.2.3", dict(Modality="CT", SeriesNumber="2", SeriesDescription="LUNG 5.0", BodyPartExamined="CHEST"), 2),
    "1.2.4.1": ("1.2.4", dict(Modality="DX", SeriesNumber="1", SeriesDescription="LAT", BodyPartExamined="CHEST"), 1),
}


def _objects() -> list:
    made = []
    for series_uid, (study_uid, of_series, images) in SERIES.items():
        patient_id, of_study = STUDIES[study_uid]
        kind = DigitalXRayImageStorageForPresentation if of_series["Modality"] == "DX" else CTImageStorage
        for number in range(1, images + 1):
            ds = slice_of_ct(number, study_uid, series_uid, side=2, SOPInstanceUID=f"{series_uid}.{number}", PatientID=patient_id, SOPClassUID=kind,
                             **PATIENTS[patient_id], **of_study, **of_series)
            ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = kind, ds.SOPInstanceUID
            made.append(ds)
    return made


OBJECTS = _objects()


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    with running(tmp_path_factory.mktemp("county")) as gateway:
        assert set(gateway.send(*OBJECTS)) == {0}
        gateway.asking = gateway.associate((PATIENT_ROOT, ExplicitVRLittleEndian), (STUDY_ROOT, ExplicitVRLittleEndian))
        gateway.web = Flask("test")
        gateway.web.register_blueprint(blueprint(gateway.hub, lambda: Actor(None, "reader1", "reader")), url_prefix="/dicomweb")
        yield gateway
        gateway.asking.release()


def one_of(*values):
    return lambda told: told in values


def like(pattern):
    return lambda told: fnmatchcase(told, pattern)


def within(low, high):
    return lambda told: bool(told) and low <= told[:max(len(low), len(high))] <= high


KEYS = [      # keyword, what is asked, what fits of the value that was sent
    ("PatientID", "Z1", one_of("Z1")), ("PatientID", "Z?", like("Z?")), ("PatientID", "*1", like("*1")), ("PatientID", "Z", one_of("Z")),
    ("PatientName", "张^三", one_of("张^三")), ("PatientName", "李*", like("李*")), ("PatientName", "WANG^W?", like("WANG^W?")), ("PatientName", "*五", like("*五")),
    ("PatientBirthDate", "19600229", one_of("19600229")), ("PatientBirthDate", "19600101-19751231", within("19600101", "19751231")),
    ("PatientBirthDate", "19751101-", within("19751101", "9")), ("PatientBirthDate", "-19600229", within("0", "19600229")),
    ("PatientSex", "F", one_of("F")), ("PatientSex", "?", like("?")),
    ("StudyDate", "20260405", one_of("20260405")), ("StudyDate", "20260302-", within("20260302", "9")), ("StudyDate", "-20260301", within("0", "20260301")),
    ("StudyDate", "20251231-20260301", within("20251231", "20260301")),
    ("StudyTime", "0800", within("080000", "080059")), ("StudyTime", "1200-", within("120000", "9")), ("StudyTime", "-1200", within("0", "120059")),
    ("StudyTime", "0730-1230", within("073000", "123059")),
    ("AccessionNumber", "A-100", one_of("A-100")), ("AccessionNumber", "A-*", like("A-*")), ("AccessionNumber", "?-100", like("?-100")),
    ("StudyDescription", "CHEST", one_of("CHEST")), ("StudyDescription", "CHEST*", like("CHEST*")), ("StudyDescription", "*平扫", like("*平扫")),
    ("StudyID", "11", one_of("11")), ("StudyID", "?1", like("?1")),
    ("ReferringPhysicianName", "赵^云", one_of("赵^云")), ("ReferringPhysicianName", "欧阳*", like("欧阳*")),
    ("InstitutionName", "QS", one_of("QS")), ("InstitutionName", "青山*", like("青山*")),
    ("StudyInstanceUID", "1.2.2", one_of("1.2.2")), ("StudyInstanceUID", r"1.2.1\1.2.4\1.2.9", one_of("1.2.1", "1.2.4")),
    ("Modality", "CT", one_of("CT")), ("Modality", "?R", like("?R")),
    ("SeriesNumber", "1", one_of("1")), ("SeriesNumber", "99", one_of("99")),
    ("SeriesDescription", "LUNG*", like("LUNG*")), ("SeriesDescription", "PA", one_of("PA")),
    ("BodyPartExamined", "CHEST", one_of("CHEST")), ("BodyPartExamined", "H*", like("H*")),
    ("SeriesInstanceUID", "1.2.1.2", one_of("1.2.1.2")), ("SeriesInstanceUID", r"1.2.1.2\1.2.3.1", one_of("1.2.1.2", "1.2.3.1")),
    ("SOPInstanceUID", "1.2.1.1.2", one_of("1.2.1.1.2")), ("SOPInstanceUID", r"1.2.1.1.2\1.2.3.2.1", one_of("1.2.1.1.2", "1.2.3.2.1")),
    ("SOPClassUID", DigitalXRayImageStorageForPresentation, one_of(DigitalXRayImageStorageForPresentation)),
    ("InstanceNumber", "2", one_of("2")), ("InstanceNumber", "3", one_of("3")),
]


def told(ds, keyword: str) -> str:
    return str(ds.get(keyword, "")) if keyword in ds and ds[keyword].value not in (None, "") else ""


def expected(level: str, keyword: str, fits) -> list[str]:
    """Of all that was sent, the entities of a level that hold, or lie within, something that fits."""
    return sorted({told(ds, LEVEL_UID[level]) for ds in OBJECTS if fits(told(ds, keyword))})


def of_both_models(county, level: str, **values) -> list[list[str]]:
    """What each information model that has the level answers."""
    found = []
    for model in (PATIENT_ROOT, STUDY_ROOT)[:1 if level == "PATIENT" else 2]:
        answers = list(county.asking.send_c_find(keys(level, **values), model))
        assert answers[-1][0].Status == 0x0000
        found.append(sorted(str(answer[LEVEL_UID[level]].value) for _, answer in answers[:-1]))
    return found


def of_the_web(county, level: str, **values) -> list[str]:
    resource, tag = WEB[level]
    reply = county.web.test_client().get(f"/dicomweb{resource}", query_string=values)
    assert reply.status_code in (200, 204), reply.data
    return sorted(one[tag]["Value"][0] for one in reply.json or [])


@pytest.mark.parametrize("keyword, value, fits", KEYS, ids=[f"{keyword}={value}" for keyword, value, _ in KEYS])
def test_a_key_of_any_level_is_matched_at_every_level_of_every_model(county, keyword, value, fits):
    for level in LEVEL_UID:
        right = expected(level, keyword, fits)
        for found in of_both_models(county, level, **{keyword: value}):
            assert found == right, level
        if level in WEB:
            assert of_the_web(county, level, **{keyword: value}) == right, level


@pytest.mark.parametrize("name, patients", [("三", ["Z1"]), ("zhang", ["Z1"]), ("lisi", ["Z2"]), ("ls", ["Z2"]), ("wang wu", ["Y1"]), ("wu", ["Y1"]), ("欧阳", [])])
def test_names_are_matched_fuzzily_at_every_level_where_that_is_asked_for(county, name, patients):
    for level in LEVEL_UID:
        right = expected(level, "PatientID", one_of(*patients))
        for model in (PATIENT_ROOT, STUDY_ROOT)[:1 if level == "PATIENT" else 2]:
            assert found_as_negotiated(county, b"\1\0\1", b"\1\0\1", level, model, PatientName=name) == right, level
        if level in WEB:
            assert of_the_web(county, level, PatientName=name, fuzzymatching="true") == right, level


@pytest.mark.parametrize("level", WEB)
@pytest.mark.parametrize("most", [1, 2, 3])
def test_pages_of_every_level_hold_everything_once(county, level, most):
    right, pages = of_the_web(county, level), []
    while page := of_the_web(county, level, limit=str(most), offset=str(most * len(pages))):
        pages.append(page)
    assert sorted(uid for page in pages for uid in page) == right and all(len(page) == most for page in pages[:-1])


@pytest.mark.parametrize("value, modalities", [("SR", {"SR"}), ("DX", {"DX"}), (r"DX\SR", {"DX", "SR"}), ("C?", {"CT"}), ("*R", {"SR"}), ("MR", set())])
def test_modalities_in_study_are_those_of_the_whole_study_at_every_level(county, value, modalities):
    studies = {study for study, of_series, _ in SERIES.values() if of_series["Modality"] in modalities}
    for level in LEVEL_UID:
        right = expected(level, "StudyInstanceUID", one_of(*studies))
        assert all(found == right for found in of_both_models(county, level, ModalitiesInStudy=value)), level
        if level in WEB:
            assert of_the_web(county, level, ModalitiesInStudy=value) == right, level


@pytest.mark.parametrize("values, images", [
    ({"PatientID": "Z*", "StudyDate": "20260405", "Modality": "CT"}, {"1.2.2.1.1", "1.2.2.1.2", "1.2.3.2.1", "1.2.3.2.2"}),
    ({"PatientName": "张*", "SeriesDescription": "LUNG*", "InstanceNumber": "2"}, {"1.2.1.1.2"}),
    ({"PatientSex": "F", "BodyPartExamined": "CHEST", "SeriesNumber": "2"}, {"1.2.3.2.1", "1.2.3.2.2"}),
    ({"AccessionNumber": "A-*", "BodyPartExamined": "HEAD", "InstanceNumber": "3"}, set())], ids=str)
def test_keys_of_several_levels_restrict_each_other(county, values, images):
    for level in LEVEL_UID:
        right = expected(level, "SOPInstanceUID", one_of(*images))
        assert all(found == right for found in of_both_models(county, level, **values)), level
        if level in WEB:
            assert of_the_web(county, level, **values) == right, level


@pytest.mark.parametrize("level, values, fits", [
    ("PATIENT", {"PatientID": "Z1"}, one_of("1.2.1", "1.2.2")), ("STUDY", {"StudyInstanceUID": "1.2.1"}, one_of("1.2.1")),
    ("STUDY", {"PatientID": "Z1", "StudyInstanceUID": "1.2.1"}, one_of("1.2.1")), ("STUDY", {"PatientID": "Z2", "StudyInstanceUID": "1.2.1"}, one_of()),
    ("STUDY", {"StudyInstanceUID": r"1.2.1\1.2.3"}, one_of("1.2.1", "1.2.3")),
    ("SERIES", {"PatientID": "Z1", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}, like("1.2.1.1.*")),
    ("SERIES", {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": r"1.2.3.1\1.2.3.2"}, like("1.2.3.?.*")),
    ("IMAGE", {"PatientID": "Z1", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1", "SOPInstanceUID": "1.2.1.1.3"}, one_of("1.2.1.1.3")),
    ("IMAGE", {"StudyInstanceUID": "1.2.1", "SOPInstanceUID": r"1.2.1.1.3\1.2.1.2.1"}, one_of("1.2.1.1.3", "1.2.1.2.1"))], ids=lambda one: "" if callable(one) else str(one))
def test_every_level_of_both_models_is_given_back_byte_for_byte_by_c_get_and_c_move(county, level, values, fits):
    right = {ds.SOPInstanceUID: body(as_file(ds)) for ds in OBJECTS if fits(ds.StudyInstanceUID) or fits(ds.SOPInstanceUID)}
    kinds = tuple((kind, ExplicitVRLittleEndian) for kind in (CTImageStorage, DigitalXRayImageStorageForPresentation))
    for by_get, by_move in ((PATIENT_GET, PATIENT_MOVE), (GET, MOVE))[:1 if level == "PATIENT" else 2]:
        receiver = Receiver()
        assert counts(get(county, wish(level, **values), receiver, model=by_get, kinds=kinds)[-1][0]) == (0x0000, len(right), 0)
        assert receiver.kept == right
        receiver, title = Receiver(), f"PACS{next(TITLES)}"
        with destination(county, receiver, title, classes=(CTImageStorage, DigitalXRayImageStorageForPresentation)):
            assert counts(move(county, wish(level, **values), title, model=by_move)[-1][0]) == (0x0000, len(right), 0)
        assert receiver.kept == right
