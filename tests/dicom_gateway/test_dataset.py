"""Headers of real, bundled and hostile objects: plain values out, never an exception for junk."""
import json
import os
import random
import warnings
import zlib
from io import BytesIO

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset

from dicom_gateway.dataset import is_uid, missing_uids, read_header, summary
from hub.errors import Invalid
from tests.dicom_gateway.raw import wire
from tests.dicom_gateway.test_charset import GIVEN


@pytest.fixture
def chest_path(real_data):
    return sorted((real_data / "dicom" / "chest_ct").iterdir())[0]


def test_the_header_of_a_real_slice_is_read_from_a_path_and_from_bytes_alike(chest_path):
    by_path, by_bytes = read_header(chest_path), read_header(chest_path.read_bytes())
    assert summary(by_path) == summary(by_bytes)
    assert "PixelData" not in by_path


def test_the_summary_of_a_real_slice_holds_what_dcmdump_shows(chest_path):
    told = summary(read_header(chest_path))
    assert json.loads(json.dumps(told)) == told
    expected = {
        "modality": "CT",
        "study_time": "2007-04-04T18:58:24",
        "patient_id": "Lung_Dx-A0001",
        "sex": "M",
        "age_years": 58.0,
        "manufacturer": "Philips",
        "series_number": 2,
        "instance_number": 1,
        "rows": 512,
        "columns": 512,
        "position_mm": -124.0,
        "spacing_between_slices_mm": 5.0,
        "window_center": -600.0,
        "window_width": 1600.0,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "transfer_syntax": "1.2.840.10008.1.2",
        "notes": [],
    }
    assert {key: told[key] for key in expected} == expected
    assert missing_uids(read_header(chest_path)) == []


def test_junk_values_are_left_empty_and_noted():
    told = summary(
        read_header(
            wire(
                SOPInstanceUID=b"1.2.3.4",
                StudyDate=b"20261399",
                StudyTime=b"noon",
                PatientBirthDate=b"yesterday",
                PatientSex=b"X",
                PatientAge=b"old",
                SeriesNumber=b"two",
                InstanceNumber=b"1.5",
                ImagePositionPatient=b"a\\b\\c",
                ImageOrientationPatient=b"1\\0\\0",
                WindowCenter=b"wide",
                Rows=b"\1\2\3\4",
                SliceThickness=b"NaN",
            )
        )
    )
    empty = ("study_time", "birth_date", "sex")
    assert all(told[key] == "" for key in empty)
    absent = ("series_number", "instance_number", "position_mm", "window_center", "age_years", "slice_thickness_mm")
    assert all(told[key] is None for key in absent)
    for keyword in ("StudyDate", "PatientBirthDate", "PatientSex", "PatientAge", "SeriesNumber", "SliceThickness"):
        assert any(note.startswith(keyword) for note in told["notes"]), keyword


@pytest.mark.parametrize(
    "day, clock, expected",
    [
        (b"20260301", b"081500.123456", "2026-03-01T08:15:00"),
        (b"2026.03.01", b"0815", "2026-03-01T08:15:00"),
        (b"2026-03-01", b"08:15:09", "2026-03-01T08:15:09"),
        (b"20260301", b"", "2026-03-01"),
        (b"20260301", b"235960", "2026-03-01T23:59:59"),
        (b"20260301", b"250000", "2026-03-01"),
        (b"", b"081500", ""),
    ],
)
def test_study_date_and_time_become_local_iso_text(day, clock, expected):
    assert summary(read_header(wire(SOPInstanceUID=b"1.2", StudyDate=day, StudyTime=clock)))["study_time"] == expected


@pytest.mark.parametrize(
    "stated, born, expected",
    [(b"058Y", b"", 58.0), (b"018M", b"", 1.5), (b"", b"20200302", 5.0), (b"", b"20200301", 6.0), (b"", b"", None),
     (b"", b"20270101", None)],
)  # fmt: skip
def test_the_age_is_as_stated_or_counted_from_the_birth_date(stated, born, expected):
    header = read_header(wire(SOPInstanceUID=b"1.2", StudyDate=b"20260301", PatientAge=stated, PatientBirthDate=born))
    assert summary(header)["age_years"] == expected


def test_a_chinese_name_under_latin_1_is_repaired_in_the_summary():
    told = summary(
        read_header(
            wire(
                SOPInstanceUID=b"1.2",
                SpecificCharacterSet=b"ISO_IR 100",
                PatientName="王^小明".encode("gb18030"),
                InstitutionName="乡镇卫生院".encode("gb18030"),
            )
        )
    )
    assert (told["patient_name"], told["patient_name_original"]) == ("王小明", "王^小明")
    assert told["institution"] == "乡镇卫生院"
    assert told["charset_wrong"] and not told["patient_name_unsure"]


def test_a_physicians_name_is_read_as_the_patients_is_and_a_guessed_one_is_marked():
    def of(declared: str, physician: bytes, **more) -> tuple:
        told = summary(read_header(wire(SOPInstanceUID=b"1.2", SpecificCharacterSet=declared.encode(), ReferringPhysicianName=physician, **more)))
        return told["referring_physician"], told["referring_physician_unsure"]
    assert of("GB18030", "欧阳^明".encode("gb18030")) == of("ISO_IR 192", "欧阳^明".encode()) == of("ISO_IR 100", "欧阳^明".encode("gb18030")) == ("欧阳^明", False)
    assert of("ISO_IR 192", "Wang^Wu=王^五".encode()) == ("Wang^Wu=王^五", False) and of("ISO_IR 100", b"") == ("", False)
    assert of("ISO_IR 192", "王\ufffd明".encode())[1]
    doubtful = next(name for name in (a + b for a in "佘仝揣呙郗" for b in GIVEN) if of("ISO_IR 100", name.encode("gb18030"))[1])
    assert of("ISO_IR 100", doubtful.encode("gb18030"), InstitutionName="县人民医院放射科".encode("gb18030")) == (doubtful, False)


def test_missing_and_malformed_uids_are_named():
    header = read_header(wire(SOPInstanceUID=b"1.2.3.4", StudyInstanceUID=b"1.2..3", SeriesInstanceUID=b"1.02"))
    assert missing_uids(header) == ["StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"]
    assert is_uid("1.2.840.10008.1.2") and is_uid("0.1")
    assert not any(is_uid(bad) for bad in ("", "1." + "2" * 63, "1.2.", "../../etc", "1.2 ", "１.2"))


@pytest.mark.parametrize("junk", [b"", b"hello", b"\0" * 132 + b"x", b"%PDF-1.7\n" * 50, b"GIF89a" * 99, b"\xff" * 999])
def test_what_is_not_dicom_is_refused_by_name(junk, tmp_path):
    (tmp_path / "junk").write_bytes(junk)
    for source in (junk, tmp_path / "junk"):
        with pytest.raises(Invalid) as caught:
            read_header(source)
        assert caught.value.code == "not_dicom" and caught.value.zh


def test_every_bundled_object_is_summarised_or_refused_by_name():
    folder = get_testdata_file("CT_small.dcm", download=False).rsplit("/", 1)[0]
    read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".dcm"):
                continue
            try:
                json.dumps(summary(read_header(f"{folder}/{name}")))
                read += 1
            except Invalid:
                continue
    assert read > 60


def test_bytes_changed_at_random_never_raise_anything_unnamed():
    chance = random.Random(9)
    good = open(get_testdata_file("CT_small.dcm", download=False), "rb").read()[:6000]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(300):
            bad = bytearray(good)
            for _ in range(chance.randrange(1, 30)):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            try:
                header = read_header(bytes(bad[: chance.randrange(200, len(bad))]))
            except Invalid:
                continue
            json.dumps(summary(header))
            missing_uids(header)


def test_a_deflated_bomb_is_refused_without_being_inflated(monkeypatch):
    monkeypatch.setattr("dicom_gateway.dataset.MAX_INFLATED", 4 * 1024 * 1024)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    length = int.from_bytes(file.getvalue()[140:144], "little")
    bomb = file.getvalue()[: 144 + length] + deflater.compress(b"\0" * 32 * 1024 * 1024) + deflater.flush()
    assert len(bomb) < 100_000
    with pytest.raises(Invalid) as caught:
        read_header(bomb)
    assert caught.value.code == "too_large"
