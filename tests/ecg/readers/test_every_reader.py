"""The contract: what every reader keeps for every sample of its format."""
import importlib

import numpy as np
import pytest

from ecg.errors import UnreadableRecording
from ecg.files import open_recording, recognise
from ecg.readers import READERS
from ecg.recording import SourceFile
from tests.ecg.readers.samples import REAL, SYNTHETIC

ALL = [pytest.param(sample, id=f"{sample.reader}:{sample.paths[0].rpartition('/')[2]}:{index}") for index, sample in enumerate(REAL)]


def reader_named(name):
    return importlib.import_module(f"ecg.readers.{name}")


def test_every_reader_in_the_table_has_the_same_three_names_and_a_name_of_its_own():
    assert len({reader.NAME for reader in READERS}) == len(READERS)
    for reader in READERS:
        assert callable(reader.sniff) and callable(reader.read)


def test_every_reader_in_the_table_has_a_sample():
    sampled = {f"ecg.readers.{sample.reader}" for sample in REAL}
    assert {reader.__name__ for reader in READERS} <= sampled


@pytest.mark.parametrize("sample", ALL)
def test_a_real_recording_has_its_leads_its_rate_and_finite_samples(sample, real_data):
    recording = reader_named(sample.reader).read(sample.files(real_data), sample.declared)
    assert recording.samples_uv.shape[0] == len(recording.leads) == sample.leads
    assert len(set(recording.leads)) == sample.leads
    assert recording.samples_uv.dtype == np.float64
    assert recording.samples_uv.shape[1] > 0
    assert recording.rate_hz == sample.rate_hz
    assert not np.isinf(recording.samples_uv).any()
    assert np.isfinite(recording.samples_uv).any()
    assert recording.format == reader_named(sample.reader).NAME


@pytest.mark.parametrize("sample", ALL)
def test_samples_are_whole_counts_of_the_resolution_the_reader_states(sample, real_data):
    recording = reader_named(sample.reader).read(sample.files(real_data), sample.declared)
    for row, lsb_uv in zip(recording.samples_uv, recording.lsb_uv):
        assert lsb_uv > 0
        known = row[np.isfinite(row)]
        steps = (known - known[:1]) / lsb_uv
        assert np.abs(steps - np.rint(steps)).max(initial=0) < 1e-5


@pytest.mark.parametrize("sample", ALL)
def test_content_alone_names_the_reader_and_only_one(sample, real_data):
    files = sample.files(real_data)
    for file in files:
        sniffed = [reader.__name__.rpartition(".")[2] for reader in READERS if reader.sniff(file.content[:4096], "")]
        assert sniffed in ([sample.reader], []) and (file is not files[0] or sniffed)
    misnamed = [type(file)(f"x{index}.bin", file.content) for index, file in enumerate(files)]
    assert recognise(misnamed) == reader_named(sample.reader).NAME


@pytest.mark.parametrize("sample", ALL)
def test_reading_twice_gives_the_same_recording(sample, real_data):
    files = sample.files(real_data)
    first, second = (open_recording(files, sample.declared) for _ in range(2))
    np.testing.assert_array_equal(first.samples_uv, second.samples_uv)
    assert (first.leads, first.start, first.patient, first.notes) == (second.leads, second.start, second.patient, second.notes)


@pytest.mark.parametrize("name", sorted(SYNTHETIC))
def test_a_synthetic_recording_is_opened_by_content(name):
    build, declared = SYNTHETIC[name]
    recording = open_recording(build(), declared)
    assert recording.format == reader_named(name).NAME
    assert recording.leads == ("I", "aVR")


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.NAME)
def test_a_reader_given_nothing_of_its_own_says_so(reader):
    for content in (b"", b"\x00" * 5000, b"hello, this is a letter\nand no ECG\n"):
        assert not reader.sniff(content[:4096])
        with pytest.raises(UnreadableRecording) as refused:
            reader.read([SourceFile("letter.txt", content)], {})
        assert refused.value.zh and refused.value.en
