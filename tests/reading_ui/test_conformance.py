"""The conformance page is the code's own tables, and says what a sender must know."""
from pathlib import Path

import pytest

from dicom_gateway.prepare.decoders import DECODERS
from ecg.readers import READERS
from reading_ui import print_conformance

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def test_the_page_is_what_the_code_prints():
    assert PAGE.read_text("utf-8") == print_conformance.page(), "run: python -m reading_ui.print_conformance > docs/conformance.md"


@pytest.mark.parametrize("word", [*(reader.NAME for reader in READERS), *DECODERS, "C-STORE", "C-ECHO", "A700", "/dicomweb/studies/{study}/metadata",
                                  "1.2.840.10008.5.1.4.1.1.9.1.1", "GB18030", "PatientName", "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "ScheduledStationAETitle", "A710", "N-CREATE, N-SET"])
def test_the_page_names_what_is_spoken(word):
    assert word in PAGE.read_text("utf-8")


def test_every_outcome_of_the_store_has_its_meaning(monkeypatch):
    """Planted: a new outcome without words stops the printing."""
    monkeypatch.setitem(print_conformance.status.BY_OUTCOME, "eaten", (0x0001, ""))
    with pytest.raises(KeyError):
        print_conformance.page()
