"""The command of the package alone: table, JSON, drawing, refusal; and the examples of its documentation."""
import doctest
import html
import json
from pathlib import Path

import pytest

import ecg
from ecg.__main__ import main
from ecg.files import open_recording
from ecg.recording import STANDARD_LEADS
from tests.ecg.readers.samples import REAL

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "sample_data" / "demo_ecg.xml"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The command writes into the folder where it is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_shows_quality_measurements_and_unconfirmed_statements(capsys):
    assert main([str(DEMO)]) == 0
    shown = capsys.readouterr().out
    assert "heart_rate" in shown and "质量" in shown and "未经医师确认" in shown


def test_the_analysis_is_printed_as_json(capsys):
    assert main([str(DEMO), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measurements"]["heart_rate"]["unit"] == "/min"
    assert all({"code", "zh", "en", "evidence", "critical", "rule"} <= set(one) for one in found["statements"])


def test_the_drawing_is_written_beside_the_table_without_being_asked(folder, capsys):
    assert main([str(DEMO)]) == 0
    assert "<svg" in (folder / "demo_ecg.xml.svg").read_text("utf-8") and "demo_ecg.xml.svg" in capsys.readouterr().out


@pytest.mark.parametrize("switches", [["--json"], ["--svg", "-"]])
def test_no_drawing_is_written_where_none_is_wanted(folder, capsys, switches):
    assert main([str(DEMO), *switches]) == 0
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named(folder, capsys):
    assert main([str(DEMO), "--svg", str(folder / "nowhere" / "sheet.svg")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_the_drawing_is_written(tmp_path, capsys):
    out = tmp_path / "sheet.svg"
    assert main([str(DEMO), "--svg", str(out)]) == 0
    assert out.read_text("utf-8").lstrip().startswith("<") and "<svg" in out.read_text("utf-8")


def test_leads_that_are_not_standard_are_drawn_and_not_twelve_empty_places(tmp_path, capsys, real_data):
    out = tmp_path / "sheet.svg"
    assert main([str(real_data / "ecg/formats/ishne/1-300m.ecg"), "--svg", str(out)]) == 0
    drawn = out.read_text("utf-8")
    assert all(f'data-lead="{lead}"' in drawn for lead in "XYZ") and "缺失" not in drawn


def test_a_recording_compared_with_itself_has_not_changed(capsys):
    assert main([str(DEMO), "--before", str(DEMO)]) == 0
    assert "No significant change" in capsys.readouterr().out


def test_an_unreadable_file_is_refused_in_both_languages(tmp_path, capsys):
    bad = tmp_path / "bad.xml"
    bad.write_bytes(b"not an ECG")
    assert main([str(bad)]) == 1
    assert "[not_recognised]" in capsys.readouterr().err


def test_a_missing_file_is_said_to_be_missing(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert "cannot open" in capsys.readouterr().err


def test_an_unknown_pack_is_a_wrong_call():
    with pytest.raises(SystemExit) as stopped:
        main([str(DEMO), "--pack", "nowhere"])
    assert stopped.value.code == 2


def test_the_examples_of_the_documentation_run(monkeypatch):
    tried = doctest.testmod(ecg)
    assert tried.attempted >= 10 and tried.failed == 0
    monkeypatch.chdir(ROOT)
    tried = doctest.testfile(str(ROOT / "docs" / "ecg.md"), module_relative=False)
    assert tried.attempted >= 15 and tried.failed == 0


@pytest.mark.parametrize("sample", REAL, ids=lambda one: one.paths[0].rpartition("/")[2])
def test_every_real_file_is_measured_and_drawn_by_the_command(sample, real_data, folder, capsys):
    """Every lead of the file stands on its sheet, and what is printed names the measurements or why there are none."""
    declared = [word for name, value in (sample.declared or {}).items() for word in (f"--{name.replace('_', '-')}", value)]
    assert main([*(str(real_data / "ecg" / path) for path in sample.paths), *declared, "--svg", "sheet.svg"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("heart_rate", "qrs", "qtc_fridericia", "未经医师确认"))
    drawn = (folder / "sheet.svg").read_text("utf-8")
    recording = open_recording(sample.files(real_data), sample.declared)
    twelve = [lead for lead in recording.leads if lead in STANDARD_LEADS]
    for lead in twelve if len(twelve) >= 6 else recording.leads:
        assert f'data-lead="{html.escape(lead)}"' in drawn, lead
