"""Files read undecoded: what pydicom reads, element by element, or they are left to it. Truth: ``dcmread`` on its own files."""
import struct
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_gateway.prepare.header import Headers, attributes
from dicom_gateway.undecoded import undecoded
from dicom_gateway.web import metadata
from dicom_gateway.web.attributes import Said

FILES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))
PLAIN = {ImplicitVRLittleEndian, ExplicitVRLittleEndian}
pytestmark = pytest.mark.filterwarnings("ignore")


def file_of(syntax=ExplicitVRLittleEndian, **attributes) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    for name, value in {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "1.2.3", "PatientName": "ZHANG^SAN", **attributes}.items():
        setattr(dataset, name, value)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_is_read_as_pydicom_reads_it_or_left_to_it(file):
    found = undecoded(file.read_bytes())
    if found is None:
        return
    truth = dcmread(file, force=True)
    assert list(found.keys()) == list(truth.keys())
    assert all(found[tag].VR == truth[tag].VR and found[tag].value == truth[tag].value for tag in truth.keys())
    assert "PixelData" not in truth or found["PixelData"].file_tell == truth["PixelData"].file_tell
    assert found.original_encoding == truth.original_encoding and found.original_character_set == truth.original_character_set


def test_most_files_of_common_syntaxes_are_not_left_to_pydicom():
    common = [file for file in FILES if dcmread(file, force=True, stop_before_pixels=True).file_meta.get("TransferSyntaxUID") in PLAIN]
    read = [file for file in common if undecoded(file.read_bytes()) is not None]
    assert len(common) > 20 and {file.name for file in common} - {file.name for file in read} <= {"MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm", "UN_sequence.dcm"}


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_needs_more_than_reading_is_left_to_pydicom(syntax):
    assert undecoded(file_of(syntax)) is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_file_that_is_cut_off_anywhere_is_left_to_pydicom(syntax):
    whole = file_of(syntax, PatientID="A1", StudyDescription="chest")
    ends = {end for end in range(140, len(whole)) if undecoded(whole[:end]) is not None}
    assert undecoded(whole) is not None
    for end in ends:                                   # between two elements nobody can see that something is missing
        assert undecoded(whole[:end]).keys() == dcmread(BytesIO(whole[:end]), force=True).keys() and len(undecoded(whole[:end])) < len(undecoded(whole))


def test_elements_out_of_order_an_unknown_vr_and_a_wrong_syntax_are_left_to_pydicom():
    whole = file_of(PatientID="A1")
    assert undecoded(whole) is not None
    assert undecoded(whole.replace(b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00ZZ")) is None
    assert undecoded(whole.replace(b"\x10\x00\x20\x00LO", b"\x08\x00\x05\x00LO")) is None
    assert undecoded(whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0")) is None, "says implicit and is explicit"


def test_a_sequence_of_undefined_length_is_read_like_one_of_a_known_length():
    item = Dataset()
    item.CodeMeaning = "chest"
    known = file_of(ProcedureCodeSequence=[item])
    at = known.index(struct.pack("<HH", 0x0008, 0x1032) + b"SQ") + 8
    length, = struct.unpack_from("<L", known, at)
    unknown = known[:at] + b"\xff" * 4 + known[at + 4:at + 4 + length] + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0) + known[at + 4 + length:]
    assert undecoded(unknown).ProcedureCodeSequence == undecoded(known).ProcedureCodeSequence == [item]
    assert undecoded(unknown).PatientName == "ZHANG^SAN"


def test_what_was_said_before_changes_nothing_of_what_is_told_of_the_next():
    """All files through one memory, twice, as if they were of one study: the same as each by itself."""
    said, headers = Said(), Headers()
    for file in [*FILES, *FILES]:
        dataset = undecoded(file.read_bytes())
        if dataset is None:
            continue
        uids = "1.2", "1.2.3", f"1.2.3.{FILES.index(file)}", str(dataset.file_meta.TransferSyntaxUID), True
        assert metadata.line_of(dataset, *uids, said) == metadata.line_of(dcmread(file, force=True), *uids), file.name
        if "PixelData" in dataset:
            assert _told(dataset, headers) == _told(dcmread(file, force=True), Headers()), file.name


def _told(dataset: Dataset, headers: Headers) -> dict | str:
    try:
        return attributes(dataset, headers.of(dataset))
    except Exception as error:
        return repr(error)
