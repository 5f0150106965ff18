"""Corrected objects against pydicom, DCMTK's dcmdump and dciodvfy: what was corrected changes, and nothing else does."""
import json
import subprocess
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_gateway.corrected import Change, corrected
from dicom_gateway.web.metadata import line_of
from dicom_gateway.web.overlay import overlaid
from hub.errors import Invalid
from hub.model.repair import Correction
from tests.dicom_gateway.running import as_file, peer, slice_of_ct

AT = datetime(2026, 5, 4, 8, 30, 1, 250, tzinfo=UTC)
NAME, SEX, SPACING = ("00100010", "PN", "张三"), ("00100040", "CS", "F"), ("00280030", "DS", "0.5\\0.5")
CHARSET, ORIGINAL = 0x00080005, 0x04000561
FILES = [Path(name) for name in sorted(get_testdata_files("**/*.dcm"))]
BROKEN = {"rtplan_truncated.dcm", "no_meta.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}      # of the last pydicom reads nothing at all


def change(*values) -> Change:
    return Change(tuple(Correction(tag, vr, value, AT) for tag, vr, value in sorted(values)), "TOWNSHIP_CT", "HUB", AT)


def apart(before: Dataset, after: Dataset) -> set[int]:
    """The tags in which two data sets differ."""
    return {int(tag) for tag in before.keys() | after.keys() if tag not in before or tag not in after or before[tag] != after[tag]}


def readable(path: Path) -> bool:
    try:
        dcmread(path)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("path", [path for path in FILES if readable(path) and path.name not in BROKEN], ids=lambda path: path.name)
def test_of_every_file_of_pydicom_only_the_corrected_elements_change(path):
    given = corrected(path, change(NAME, SEX, SPACING))
    content, before = given.content(), dcmread(path)
    after = dcmread(BytesIO(content), force=True)
    assert len(content) == given.size
    lengths = {int(tag) for tag in before.keys() if tag.element == 0}
    assert apart(before, after) - lengths <= {0x00100010, 0x00100040, 0x00280030, CHARSET, ORIGINAL}
    assert (after.PatientName, after.PatientSex, list(after.PixelSpacing)) == ("张三", "F", [0.5, 0.5])
    assert after.file_meta == before.file_meta and after.get("PixelData") == before.get("PixelData")
    rest = path.read_bytes()[given.rest_at:]
    assert content.endswith(rest)                                # from the pixels on every byte is the same
    if "PixelData" in before and before.file_meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        assert rest[:2] in (b"\xe0\x7f", b"\x7f\xe0") and len(rest) > len(before.PixelData)


@pytest.mark.parametrize("path", [path for path in FILES if readable(path) and path.name not in BROKEN], ids=lambda path: path.name)
def test_original_attributes_give_every_value_back(path):
    before, after = dcmread(path), dcmread(BytesIO(corrected(path, change(NAME, SEX, SPACING)).content()), force=True)
    item = after.OriginalAttributesSequence[-1]
    assert len(after.OriginalAttributesSequence) == len(before.get("OriginalAttributesSequence", [])) + 1
    assert item.AttributeModificationDateTime == "20260504083001.000250+0000" and item.ReasonForTheAttributeModification == "CORRECT"
    assert item.SourceOfPreviousValues == "TOWNSHIP_CT" and item.ModifyingSystem.endswith("HUB")
    was = item.ModifiedAttributesSequence[0]
    for tag in (0x00100010, 0x00100040, 0x00280030):
        said = before[tag].value if tag in before else None
        assert ((was[tag] if tag in was else after[tag]).value or None) == (said or None), hex(tag)
        assert (tag in was) == (tag not in before or before[tag] != after[tag])


def test_a_file_that_breaks_off_is_never_given_as_if_it_were_whole():
    path = next(path for path in FILES if path.name == "rtplan_truncated.dcm")
    with pytest.raises(Invalid) as refusal:
        corrected(path, change(NAME))
    assert refusal.value.code == "not_correctable_file"


def put(tmp_path, syntax=ExplicitVRLittleEndian, **more) -> Path:
    ds = slice_of_ct(1, "1.2.3", "1.2.3.1", **more)
    ds.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "in.dcm"
    path.write_bytes(as_file(ds))
    return path


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_the_transfer_syntax_stays(tmp_path, syntax):
    path = put(tmp_path, syntax)
    after = dcmread(BytesIO(corrected(path, change(NAME, ("00181041", "DS", "1.5"), ("00189004", "CS", "PRODUCT"), ("00280106", "US", "7"))).content()))
    assert after.file_meta.TransferSyntaxUID == syntax and after.PatientName == "张三" and after.SmallestImagePixelValue == 7
    assert after.PixelData == dcmread(path).PixelData and apart(dcmread(path), after) == {
        0x00100010, 0x00181041, 0x00189004, 0x00280106, CHARSET, ORIGINAL}


@pytest.mark.parametrize("raw, declared, charset, other", [
    (b"Description", "", "ISO_IR 192", "Description"), (b"Description", "ISO_IR 100", "ISO_IR 192", "Description"),
    ("胸部平扫检查".encode("gb18030"), "ISO_IR 100", "GB18030", "胸部平扫检查"), ("胸部平扫检查".encode("gb18030"), "", "GB18030", "胸部平扫检查"),
    ("胸部平扫检查".encode(), "ISO_IR 100", "ISO_IR 192", "胸部平扫检查"), ("胸部平扫检查".encode("gb18030"), "GB18030", "GB18030", "胸部平扫检查"),
    ("胸部平扫检查".encode(), "ISO_IR 192", "ISO_IR 192", "胸部平扫检查"), ("胸部平扫检查".encode("gb18030"), "ISO_IR 192", "GB18030", "胸部平扫检查"),
    ("Schädel".encode("latin-1"), "ISO_IR 100", "ISO_IR 192", "Schädel")])
def test_the_character_set_can_write_the_new_value_and_reads_the_old_ones(tmp_path, raw, declared, charset, other):
    path = put(tmp_path, StudyDescription="D" * (len(raw) + len(raw) % 2), SpecificCharacterSet=declared or "ISO_IR 100")
    content = path.read_bytes().replace(b"D" * (len(raw) + len(raw) % 2), raw + b" " * (len(raw) % 2))
    if not declared:
        content = content.replace(b"\x08\0\x05\0CS\x0a\0ISO_IR 100", b"")
    path.write_bytes(content)
    after = dcmread(BytesIO(corrected(path, change(NAME)).content()))
    assert after.SpecificCharacterSet == charset and (after.PatientName, after.StudyDescription) == ("张三", other)
    was = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert was.PatientName == "Test^Slice" and was.get("SpecificCharacterSet") == ((declared or None) if declared != charset else None)
    if charset != "ISO_IR 192" or declared == "ISO_IR 192":
        assert raw in corrected(path, change(NAME)).content()                # bytes that were right stay


def test_ascii_corrections_leave_the_character_set_alone(tmp_path):
    path = put(tmp_path, SpecificCharacterSet="ISO_IR 100", StudyDescription="Schädel")
    after = dcmread(BytesIO(corrected(path, change(("00100020", "LO", "P2"))).content()))
    assert apart(dcmread(path), after) == {0x00100020, ORIGINAL}


def test_latin_texts_in_sequences_are_reworded_with_the_rest(tmp_path):
    step = Dataset()
    step.ScheduledProcedureStepDescription, step.ScheduledProcedureStepID = "Schädel", "7"
    path = put(tmp_path, SpecificCharacterSet="ISO_IR 100", RequestAttributesSequence=[step])
    after = dcmread(BytesIO(corrected(path, change(NAME)).content()))
    assert after.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "Schädel" and after.PatientName == "张三"
    assert after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].RequestAttributesSequence[0].ScheduledProcedureStepDescription == "Schädel"


def test_an_item_joins_the_original_attributes_that_an_object_has(tmp_path):
    path = put(tmp_path)
    first = tmp_path / "first.dcm"
    first.write_bytes(corrected(path, change(NAME)).content())
    for implicit_length in (False, True):
        ds = dcmread(first)
        ds["OriginalAttributesSequence"].is_undefined_length = implicit_length
        ds.save_as(first)
        twice = dcmread(BytesIO(corrected(first, change(SEX)).content()))
        told = [list(item.ModifiedAttributesSequence[0].keys()) for item in twice.OriginalAttributesSequence]
        assert [[int(tag) for tag in tags if tag != CHARSET] for tags in told] == [[0x00100010], [0x00100040]]


def test_what_the_object_did_not_have_is_added_in_its_place_and_named_empty(tmp_path):
    after = dcmread(BytesIO(corrected(put(tmp_path), change(("00180015", "CS", "KNEE"), ("00080050", "SH", ""))).content()))
    tags = [int(tag) for tag in after.keys()]
    assert tags == sorted(tags) and after.BodyPartExamined == "KNEE" and after.AccessionNumber == ""
    assert after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]["BodyPartExamined"].is_empty


def test_uids_that_were_supplied_stand_in_the_file_header_too(tmp_path):
    path = put(tmp_path)
    ds = dcmread(path)
    del ds.SOPInstanceUID, ds.file_meta.MediaStorageSOPInstanceUID, ds.file_meta.FileMetaInformationGroupLength
    ds.save_as(path)
    after = dcmread(BytesIO(corrected(path, change(("00080018", "UI", "2.25.77"))).content()))
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID == "2.25.77" and after.PixelData == ds.PixelData


@pytest.mark.peers
@pytest.mark.parametrize("path", [path for path in FILES if path.name in (
    "CT_small.dcm", "MR_small.dcm", "ExplVR_BigEnd.dcm", "693_J2KI.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm", "waveform_ecg.dcm", "eCT_Supplemental.dcm",
    "examples_palette.dcm", "rtplan.dcm", "image_dfl.dcm", "SC_rgb_gdcm_KY.dcm")], ids=lambda path: path.name)
def test_dciodvfy_and_dcmdump_find_no_fault_that_the_original_has_not(tmp_path, path):
    out = tmp_path / "corrected.dcm"
    out.write_bytes(corrected(path, change(NAME, SEX, ("00100030", "DA", "19630211"))).content())
    assert faults(out) - faults(path) == set()
    dumped = subprocess.run([peer("dcmdump"), "+P", "0010,0010", str(out)], capture_output=True, text=True, timeout=300)
    assert dumped.returncode == 0 and "张三" in dumped.stdout


def faults(path: Path) -> set[str]:
    said = subprocess.run([peer("dciodvfy"), str(path)], capture_output=True, timeout=300)
    return {line for line in (said.stderr + said.stdout).decode("utf-8", "replace").splitlines() if line.startswith("Error")}


@pytest.mark.peers
def test_every_slice_of_the_real_ct_passes_dciodvfy_as_before(real_data, tmp_path):
    for path in sorted((real_data / "dicom" / "chest_ct").rglob("*.dcm")):
        out = tmp_path / path.name
        out.write_bytes(corrected(path, change(NAME, SEX, SPACING)).content())
        assert faults(out) - faults(path) == set()


@pytest.mark.parametrize("path", [path for path in FILES if readable(path) and path.name not in BROKEN], ids=lambda path: path.name)
def test_metadata_says_what_the_corrected_object_says(path):
    """JSON overlaid on the original's, against the JSON of the corrected object itself; group lengths and the character set apart."""
    values = change(("00100020", "LO", "P-2"), SEX, SPACING, ("00181041", "DS", "1.5"))
    overlaid_line = overlaid(_line(dcmread(path)), values)
    assert json.loads(overlaid_line) == json.loads(_line(dcmread(BytesIO(corrected(path, values).content()), force=True)))


def _line(ds: Dataset) -> bytes:
    return line_of(ds, "1", "2", "3", ExplicitVRLittleEndian, False)


def test_what_an_object_says_already_is_no_modification(tmp_path):
    path = put(tmp_path, PatientSex="F")
    assert corrected(path, change(SEX)).content() == path.read_bytes() and overlaid(_line(dcmread(path)), change(SEX)) == _line(dcmread(path))


@pytest.mark.parametrize("name", ["ExplVR_BigEnd.dcm", "693_J2KI.dcm"])
def test_a_group_that_tells_its_length_tells_the_new_one(name):
    """The length of a group (PS3.5 7.2) is what lies between it and the next group, as the bytes stand."""
    path = next(path for path in FILES if path.name == name)
    content = corrected(path, change(NAME, SEX, SPACING, ("00081030", "LO", "A much longer description than before"))).content()
    ds = dcmread(BytesIO(content))
    order = "little" if ds.is_little_endian else "big"
    groups = [tag.group for tag in ds.keys() if tag.element == 0 and tag.group in (0x0008, 0x0010, 0x0028)]
    assert groups == [0x0008, 0x0010, 0x0028]
    for group in groups:
        head = group.to_bytes(2, order) + b"\0\0UL" + (4).to_bytes(2, order)
        begins = content.index(head) + len(head) + 4
        following = next(tag for tag in ds.keys() if tag.group > group)
        ends = begins + ds[group, 0].value
        assert content[ends:ends + 4] == following.group.to_bytes(2, order) + following.elem.to_bytes(2, order), hex(group)
