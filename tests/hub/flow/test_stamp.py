"""The signed letter says on how many images it is based, and whether they are all: in words, for each verdict of the proof sheet."""
import shutil
import subprocess

import pytest

from hub.flow import dispatch, reporting
from tests.hub.arrivals import close_and_prepare, drafted, send, slice_facts
from tests.hub.flow.test_dispatch import run_due


@pytest.fixture(autouse=True)
def authority(hub, keys):
    hub.keys_folder.symlink_to(keys)


def printed(hub, county, report_id: int) -> str:
    """The letter as anybody's PDF viewer reads it, without blanks and line ends."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    while run_due(hub):
        pass
    _, pdf = dispatch.signed_pdf(hub, county.clinic, report_id)
    text = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True, timeout=300).stdout.decode()
    return "".join(text.split())


def reported(hub, county, clock, study_id: int) -> tuple[int, int]:
    """(reading, report): read and signed."""
    reading_id = close_and_prepare(hub, clock, study_id)
    drafted(hub, county.reader, reading_id)
    reporting.submit(hub, county.reader, reading_id)
    return reading_id, reporting.sign(hub, county.reviewer, reading_id)


@pytest.mark.parametrize("numbers, expected, stamp", [
    (range(1, 313), 312, "基于312/312幅，无间断（完整）"), (range(1, 5), None, "基于4/4幅，无间断（可能完整，设备未声明总数）"),
    ([1], None, "基于1/1幅，无间断（可能完整，设备未声明总数）"), ([1, 2, 3], 4, "基于3/4幅，缺1幅（不完整）"), ([1, 2, 4, 5], None, "基于4/5幅，缺1幅，有1处间断（不完整）")], ids=str)
def test_each_verdict_is_printed_in_words(hub, county, clock, numbers, expected, stamp):
    study_id = {send(hub, county.ct, slice_facts(number, expected=expected)).study_id for number in numbers}.pop()
    _, report_id = reported(hub, county, clock, study_id)
    assert stamp in printed(hub, county, report_id)


def test_a_report_keeps_what_it_was_based_on_and_its_amendment_says_what_came_late(hub, county, clock):
    study_id = {send(hub, county.ct, slice_facts(number)).study_id for number in (1, 2, 3)}.pop()
    reading_id, first = reported(hub, county, clock, study_id)
    before = printed(hub, county, first)
    clock.forward(seconds=600)
    send(hub, county.ct, slice_facts(4))
    close_and_prepare(hub, clock, study_id)
    assert printed(hub, county, first) == before
    reporting.amend(hub, county.reader, reading_id, "补传了一幅图像")
    reporting.submit(hub, county.reader, reading_id)
    second = reporting.sign(hub, county.reviewer, reading_id)
    assert "基于4/4幅，无间断，1幅为补传（可能完整，设备未声明总数）" in printed(hub, county, second)
