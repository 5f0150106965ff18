"""The short way to an object's facts finds what pydicom finds, in every file that is at hand, or nothing."""
import os
import random
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import DataElement, config, dcmread
from pydicom.data import get_testdata_files
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid,
)

from dicom_gateway import heads
from dicom_gateway.dataset import missing_uids, read_header
from dicom_gateway.facts import facts_of
from dicom_gateway.heads import HeadReader
from hub.errors import Invalid
from tests.dicom_gateway.running import as_file, body, slice_of_ct

HEAD_BYTES = 65536


def short(reader: HeadReader, file: bytes):
    """The facts by the short way, from what the gateway has in hand."""
    syntax = str(dcmread(BytesIO(file), stop_before_pixels=True, force=True).file_meta.TransferSyntaxUID)
    return reader.facts(file[:HEAD_BYTES], len(file) - len(body(file)), len(file), syntax)


def long(file: bytes):
    """The facts by pydicom; None for what it refuses or what has no UIDs."""
    try:
        header = read_header(file)
    except Invalid:
        return None
    return None if missing_uids(header) else facts_of(header)


def saved(ds, syntax) -> bytes:
    output = BytesIO()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(output, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian, enforce_file_format=True)
    return output.getvalue()


def with_group_2(path: Path) -> bytes | None:
    content = path.read_bytes()
    try:
        body(content)
        return content if dcmread(BytesIO(content), stop_before_pixels=True, force=True).file_meta.get("TransferSyntaxUID") else None
    except Exception:
        return None


@pytest.mark.filterwarnings("ignore")
def test_every_file_of_pydicom_is_read_as_pydicom_reads_it():
    compared, reader = 0, HeadReader()
    for name in get_testdata_files("*"):
        content = with_group_2(Path(name)) if os.path.isfile(name) else None
        if content is None:
            continue
        for one in (HeadReader(), reader, reader):       # alone, after another file, and after itself
            found = short(one, content)
            assert found is None or found == long(content), name
            compared += found is not None
    assert compared > 100, "the short way is hardly ever taken"


def test_every_slice_of_a_real_ct_is_read_as_pydicom_reads_it_and_hardly_one_is_walked_through(real_data, monkeypatch):
    reader, files, walks = HeadReader(), sorted((real_data / "dicom" / "chest_ct").rglob("*.dcm")), []
    monkeypatch.setattr(heads, "walk", lambda *given, walk=heads.walk: walks.append(1) or walk(*given))
    assert len(files) > 50
    for path in files:
        assert short(reader, path.read_bytes()) == long(path.read_bytes()), path.name
    assert len(walks) < 10


def test_positions_with_exponents_are_told_apart_like_others(monkeypatch):
    reader, study, series, walks = HeadReader(), generate_uid(), generate_uid(), []
    monkeypatch.setattr(heads, "walk", lambda *given, walk=heads.walk: walks.append(1) or walk(*given))
    for number, z in enumerate(("1.5e-12", "-2.5E-3", "3", "4.25e+01", "0.5e2", "1e5", "7."), 1):
        ds = slice_of_ct(number, study, series, StudyDate="20260504", StudyTime="083000")
        ds.ImagePositionPatient = ["-1E-14", "2", z]
        file = saved(ds, ExplicitVRLittleEndian)
        assert short(reader, file) == long(file), z
    assert len(walks) < 4


@pytest.mark.parametrize("windows", [{}, {"WindowCenter": "40", "WindowWidth": "400"}, {"WindowCenter": ["-600", "40"], "WindowWidth": ["01600", "400"]},
                                     {"WindowCenter": ["40", "x"], "WindowWidth": ["400", ""]}, {"WindowCenter": "", "WindowWidth": "400"}])
def test_windows_of_every_number_are_read_as_pydicom_reads_them(windows, monkeypatch):
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    reader, study, series = HeadReader(), generate_uid(), generate_uid()
    for number in range(1, 5):
        ds = slice_of_ct(number, study, series, StudyDate="20260504", StudyTime="083000")
        with config.disable_value_validation():
            for keyword, value in windows.items():
                ds[keyword] = DataElement(keyword, "LO", value)           # whatever devices write
                ds[keyword].VR = "DS"
        file = saved(ds, ImplicitVRLittleEndian)
        assert short(reader, file) == long(file)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_slices_of_a_series_are_told_apart_in_every_encoding(syntax):
    reader, study, series = HeadReader(), generate_uid(), generate_uid()
    for number in (1, 2, 7, 400):
        ds = slice_of_ct(number, study, series, StudyDate="20260504", StudyTime="083000", ContentTime=f"0830{number % 60:02}",
                         RescaleSlope=1, ReferencedImageSequence=[slice_of_ct(side=1)], SeriesNumber=3)
        ds["ReferencedImageSequence"].is_undefined_length = ds.ReferencedImageSequence[0].is_undefined_length_sequence_item = True
        file = saved(ds, syntax)
        found = short(reader, file)
        assert found == long(file)
        assert (found.sop_uid, found.instance_number, found.position_mm) == (ds.SOPInstanceUID, number, number * 5.0)


CHANGES = {
    "PatientName": "Zhang^San", "PatientID": "other", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4",
    "PatientSex": "F", "PatientBirthDate": "19700101", "StudyTime": "0900", "Rows": 4, "SeriesDescription": "other",
    "Modality": "MR", "ImageOrientationPatient": [0, 1, 0, 0, 0, 1], "NumberOfSeriesRelatedInstances": 9, "AcquisitionDate": "2026bad",
    "SpecificCharacterSet": "ISO_IR 192", "InstitutionName": "B", "StudyDescription": "D", "SeriesNumber": 4, "PatientAge": "030Y",
}


@pytest.mark.parametrize("keyword", CHANGES)
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_no_value_of_the_last_object_is_taken_for_that_of_the_next(keyword):
    """Above all the patient's: two patients on one association are two patients."""
    reader = HeadReader()
    first = slice_of_ct(1, "1.2.1", "1.2.2", StudyDate="20260504", StudyTime="0830", PatientSex="M")
    second = slice_of_ct(2, "1.2.1", "1.2.2", StudyDate="20260504", StudyTime="0830", PatientSex="M")
    setattr(second, keyword, CHANGES[keyword])
    for ds in (first, second, first):
        assert short(reader, as_file(ds)) == long(as_file(ds))


@pytest.mark.parametrize("keyword, value", [
    ("InstanceNumber", b"x "), ("ImagePositionPatient", b"a\\b\\c "), ("ImagePositionPatient", b"1\\2 "), ("ContentTime", b"9999"),
    ("WindowCenter", b"wide"), ("SOPInstanceUID", b"1..2"), ("InstanceNumber", b"")])
@pytest.mark.filterwarnings("ignore")
def test_junk_in_one_slice_has_its_note_and_does_not_hide_behind_its_neighbour(keyword, value):
    reader = HeadReader()
    good = slice_of_ct(1, "1.2.1", "1.2.2", StudyDate="20260504", StudyTime="0830", ContentTime="0830", WindowCenter=40)
    junk = bytearray(as_file(good))
    old = good[keyword]
    tag = int(old.tag).to_bytes(4, "big")
    place = junk.index(bytes((tag[1], tag[0], tag[3], tag[2])) + old.VR.encode(), len(junk) - len(body(bytes(junk))))
    length = int.from_bytes(junk[place + 6:place + 8], "little")
    junk[place + 6:place + 8 + length] = len(value).to_bytes(2, "little") + value
    assert short(reader, as_file(good)) == long(as_file(good))
    found, truth = short(reader, bytes(junk)), long(bytes(junk))
    assert found == truth or found is None
    assert truth is None or found is not None


@pytest.mark.filterwarnings("ignore")
def test_damaged_heads_are_read_as_pydicom_reads_them_or_left_to_it():
    """Bytes flipped at random: the short way never finds what pydicom does not find."""
    dice, reader, taken = random.Random(4), HeadReader(), 0
    file = as_file(slice_of_ct(1, "1.2.1", "1.2.2", StudyDate="20260504", StudyTime="0830", side=4))
    start = len(file) - len(body(file))
    assert short(reader, file) is not None
    for _ in range(1500):
        damaged = bytearray(file)
        for _ in range(dice.choice((1, 1, 2))):
            damaged[dice.randrange(start, len(file) - 32)] = dice.choice((0, 0x20, 0x31, 0x41, 0xFF, dice.randrange(256)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = short(reader, bytes(damaged))
        if found is not None:
            taken += 1
            assert found == long(bytes(damaged))
    assert taken > 100


def test_a_header_longer_than_what_is_at_hand_and_a_deflated_one_are_left_to_the_file():
    ds = slice_of_ct(1)
    ds.add_new(0x00291010, "OB", bytes(70_000))
    assert short(HeadReader(), as_file(ds)) is None
    assert HeadReader().facts(as_file(slice_of_ct(1)), 0, 1000, DeflatedExplicitVRLittleEndian) is None


def own_tags(number: int) -> dict:
    """What real devices write differently into every slice, besides what the hub asks for."""
    return {"SliceLocation": f"{number * 1.25:g}", "XRayTubeCurrent": str(100 + number % 40), "AcquisitionNumber": str(number % 3 + 1),
            "IrradiationEventUID": generate_uid()}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_slices_that_differ_in_what_nobody_asks_for_are_not_walked_again_and_are_read_all_the_same(syntax, monkeypatch):
    reader, study, series, walks = HeadReader(), generate_uid(), generate_uid(), []
    monkeypatch.setattr(heads, "walk", lambda *given, walk=heads.walk: walks.append(1) or walk(*given))
    for number in range(1, 60):
        file = saved(slice_of_ct(number, study, series, StudyDate="20260504", StudyTime="083000", **own_tags(number)), syntax)
        assert short(reader, file) == long(file)
    assert len(walks) < 12


def test_a_damaged_slice_among_good_ones_is_read_as_if_it_had_come_alone():
    study, series, chance, told = generate_uid(), generate_uid(), random.Random(7), 0
    files = [saved(slice_of_ct(n, study, series, StudyDate="20260504", StudyTime="083000", **own_tags(n)), ExplicitVRLittleEndian) for n in range(12)]
    reader, starts = HeadReader(), [len(file) - len(body(file)) for file in files]
    for turn in range(1500):
        file, start = bytearray(files[turn % 12]), starts[turn % 12]
        if turn % 2:
            for _ in range(chance.choice((1, 1, 3))):
                file[chance.randrange(start, start + 700)] = chance.choice((0, 0x20, 0x30, 0x41, 0x5C, 0xFF, chance.randrange(256)))
        if turn % 7 == 0:
            at = chance.randrange(start, start + 700)
            del file[at:at + chance.choice((1, 2, 8))]
        try:
            alone = HeadReader().facts(bytes(file[:HEAD_BYTES]), start, len(file), ExplicitVRLittleEndian)
        except Exception:
            alone = None                          # what is raised sends the file the long way, too
        try:
            among = reader.facts(bytes(file[:HEAD_BYTES]), start, len(file), ExplicitVRLittleEndian)
        except Exception:
            among = None
        assert among == alone, turn
        told += among is not None
    assert told > 700
