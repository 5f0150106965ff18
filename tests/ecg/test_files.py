"""Opening what arrived: archives, wrong names, mixtures, and words for the sender."""
import io
import struct
import zipfile
import zlib

import pytest

from ecg import files as opening
from ecg.errors import UnreadableRecording
from ecg.files import open_recording
from ecg.readers import READERS
from ecg.recording import SourceFile
from tests.ecg.readers.samples import csv, edf, hl7_aecg, wfdb_16


def packed(*entries: tuple[str, bytes], method=zipfile.ZIP_DEFLATED) -> list[SourceFile]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return [SourceFile("upload.zip", buffer.getvalue())]


def refusal(files, declared=None):
    with pytest.raises(UnreadableRecording) as refused:
        open_recording(files, declared)
    return refused.value


def test_a_zipped_wfdb_pair_is_read_as_the_pair_is():
    header, signal = wfdb_16()
    zipped = open_recording(packed((f"some folder/{header.name}", header.content), (f"some folder/{signal.name}", signal.content)))
    plain = open_recording([signal, header])
    assert zipped.leads == plain.leads and (zipped.samples_uv[1] == plain.samples_uv[1]).all()


def test_paths_in_an_archive_are_only_names():
    header, signal = wfdb_16()
    for prefix in ("../../etc/", "/root/", "C:\\windows\\"):
        assert open_recording(packed((prefix + header.name, header.content), (prefix + signal.name, signal.content))).format == "WFDB"


def test_what_a_mac_adds_to_an_archive_is_ignored():
    xml = hl7_aecg()[0].content
    assert open_recording(packed(("__MACOSX/._a.xml", xml), ("a.xml", xml), ("x/.DS_Store", b"\x00"))).format == "HL7 aECG"


def test_a_report_or_a_table_beside_the_recording_does_not_disturb():
    beside = [SourceFile("report.pdf", b"%PDF-1.4 ..."), *csv(), *hl7_aecg()]
    assert open_recording(beside).format == "HL7 aECG"


def test_two_recordings_at_once_are_refused_not_chosen_between():
    assert refusal(hl7_aecg() + edf()).code == "several_recordings"
    assert refusal(hl7_aecg() + hl7_aecg()).code == "several_recordings"


def test_an_unknown_file_is_refused_with_the_list_of_formats():
    refused = refusal([SourceFile("a.doc", b"\xd0\xcf\x11\xe0 nothing of ours")])
    assert refused.code == "not_recognised"
    for reader in READERS:
        assert reader.NAME in refused.zh and reader.NAME in refused.en


@pytest.mark.parametrize("files", [[], [SourceFile("a", b"")]])
def test_nothing_at_all_is_said_to_be_nothing(files):
    assert refusal(files).code == "no_files"


def test_an_archive_in_an_archive_is_refused():
    inner = packed(("a.xml", hl7_aecg()[0].content))[0].content
    assert refusal(packed(("inner.zip", inner))).code == "nested_archive"
    assert refusal(packed(("a.xml", b"x")) + hl7_aecg()).code == "nested_archive"


def test_an_archive_of_too_many_files_is_refused_before_they_are_unpacked():
    assert refusal(packed(*((f"{index}.txt", b"x") for index in range(65)))).code == "too_many_files"
    assert refusal(packed(*((f"{index}.txt", b"") for index in range(5000)))).code == "too_many_files"


def test_an_archive_with_a_huge_directory_is_refused_before_it_is_parsed(monkeypatch):
    given = packed(*((f"{index}.txt", b"") for index in range(5000)))
    monkeypatch.setattr(opening.zipfile, "ZipFile", lambda *arguments: pytest.fail("the directory was parsed"))
    assert refusal(given).code == "too_many_files"


def test_a_bomb_is_stopped_at_the_bound_whatever_size_it_declares(monkeypatch):
    monkeypatch.setattr(opening, "MAX_FILE_BYTES", 100_000)
    bomb = packed(("a.xml", b"\x00" * 10_000_000))[0].content
    assert len(bomb) < 20_000
    assert refusal([SourceFile("a.zip", bomb)]).code == "too_large"
    lying = bomb.replace(struct.pack("<L", 10_000_000), struct.pack("<L", 10))
    assert refusal([SourceFile("a.zip", lying)]).code in ("damaged_archive", "not_recognised", "too_large")


def test_the_sum_of_an_archive_is_bounded_too(monkeypatch):
    monkeypatch.setattr(opening, "MAX_UPLOAD_BYTES", 100_000)
    assert refusal(packed(*((f"{index}.txt", b"\x00" * 60_000) for index in range(2)))).code == "too_large"


def test_damaged_and_encrypted_archives_are_named_so():
    whole = packed(("a.xml", hl7_aecg()[0].content))[0].content
    assert refusal([SourceFile("a.zip", whole[:-30])]).code == "truncated"
    spoiled = whole[:60] + bytes(byte ^ 0x55 for byte in whole[60:120]) + whole[120:]
    assert refusal([SourceFile("a.zip", spoiled)]).code == "damaged_archive"
    directory = whole.index(b"PK\x01\x02")
    encrypted = whole[:directory + 8] + b"\x01" + whole[directory + 9:]
    assert refusal([SourceFile("a.zip", encrypted)]).code == "encrypted"
    assert refusal(packed(("a.xml", b"x" * 100), method=zipfile.ZIP_LZMA)).code == "damaged_archive"


def test_an_archive_cut_or_flipped_anywhere_is_read_or_refused():
    whole = packed(("a.xml", hl7_aecg()[0].content))[0].content
    for at in range(4, len(whole)):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:]):
            try:
                open_recording([SourceFile("a.zip", content)])
            except UnreadableRecording:
                pass


def test_the_bytes_that_arrived_are_never_changed():
    files = wfdb_16()
    before = [zlib.crc32(file.content) for file in files]
    open_recording(files)
    assert [zlib.crc32(file.content) for file in files] == before
