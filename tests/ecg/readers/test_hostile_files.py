"""Damaged and hostile bytes: every reader refuses with UnreadableRecording, in little time and memory."""
import importlib
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg.errors import UnreadableRecording
from ecg.recording import Recording, SourceFile
from tests.ecg.readers.samples import SYNTHETIC, edf
from tests.ecg.readers.test_dicom import files as dicom_files
from tests.ecg.readers.test_dicom import group as dicom_group

MB = 1024 * 1024
CASES = {name: (build, declared) for name, (build, declared) in SYNTHETIC.items()}
CASES["dicom"] = (lambda: dicom_files(dicom_group(), PatientName="Demo", PatientAge="061Y"), {})
CASES["edf+"] = (lambda: edf(reserved="EDF+D", annotations=[b"+0\x14\x14\x00", b"+0.012\x14\x14\x00"]), {})


def read_or_refuse(case, files):
    """Reads with the case's reader; anything but a recording or UnreadableRecording fails the test."""
    reader = importlib.import_module(f"ecg.readers.{case.rstrip('+')}")
    try:
        recording = reader.read(files, CASES[case][1])
    except UnreadableRecording as refused:
        assert refused.code and refused.zh and refused.en
        return None
    assert isinstance(recording, Recording)
    return recording


@st.composite
def damage(draw):
    """How to spoil one file: cut it, flip bytes in it, put bytes into it or repeat a part of it."""
    kind = draw(st.sampled_from(["cut", "flip", "insert", "repeat"]))
    return kind, draw(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=6)), draw(st.binary(max_size=12))


def spoiled(content: bytes, kind: str, places, extra: bytes) -> bytes:
    first = places[0][0] % (len(content) + 1)
    if kind == "cut":
        return content[:first]
    if kind == "insert":
        return content[:first] + extra + content[first:]
    if kind == "repeat":
        return content[:first] + content[first:first + 40] * 3 + content[first + 40:]
    changed = bytearray(content)
    for place, value in places:
        changed[place % len(changed)] = value
    return bytes(changed)


@pytest.mark.parametrize("case", sorted(CASES))
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(how=damage(), which=st.integers(0, 1))
def test_a_spoiled_file_is_read_or_refused_and_nothing_else(case, how, which):
    files = CASES[case][0]()
    target = which % len(files)
    files[target] = SourceFile(files[target].name, spoiled(files[target].content, *how))
    read_or_refuse(case, files)


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_file_cut_at_every_place_is_read_or_refused(case):
    whole = CASES[case][0]()
    for index, file in enumerate(whole):
        for length in range(0, len(file.content), max(1, len(file.content) // 150)):
            read_or_refuse(case, whole[:index] + [SourceFile(file.name, file.content[:length])] + whole[index + 1:])


@pytest.mark.parametrize("case", sorted(CASES))
def test_numbers_of_the_header_made_huge_cost_neither_time_nor_memory(case):
    whole = CASES[case][0]()
    began = time.process_time()
    tracemalloc.start()
    for index, file in enumerate(whole):
        places = [at for at in range(min(len(file.content), 1200)) if file.content[at:at + 1].isdigit()]
        for at in places[::3]:
            for digits in (b"9" * 8, b"-9999999"):
                content = file.content[:at] + digits + file.content[at + (8 if case.startswith("edf") else 1):]
                read_or_refuse(case, whole[:index] + [SourceFile(file.name, content)] + whole[index + 1:])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * MB
    assert time.process_time() - began < 60


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_file_beyond_the_bound_is_refused_by_its_size(case):
    whole = CASES[case][0]()
    large = [SourceFile(file.name, file.content + b" " * (65 * MB)) for file in whole[-1:]]
    with pytest.raises(UnreadableRecording) as refused:
        importlib.import_module(f"ecg.readers.{case.rstrip('+')}").read(whole[:-1] + large, CASES[case][1])
    assert refused.value.code == "too_large"
