"""Settings: complete and right, or one sentence that names the first wrong one."""
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from hub import print_settings
from hub.errors import Invalid
from hub.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
    """No hub.toml of the developer's decides these tests."""
    monkeypatch.chdir(tmp_path)


def refused(file: Path | None = None, **environ) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        load(file, environ)
    assert refusal.value.zh.count("。") == 1, "one sentence"
    return refusal.value


def written(tmp_path, text: str) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    return file


def test_without_anything_the_defaults_hold():
    assert load(environ={}) == Settings()


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    file = written(tmp_path, 'web_port = 9000\nworkers = 3\ninstitution_zh = "某县中心"')
    settings = load(file, {"HUB_WEB_PORT": "9100"})
    assert (settings.web_port, settings.workers, settings.institution_zh, settings.dicom_port) == (9100, 3, "某县中心", 11112)


def test_hub_toml_in_the_working_folder_is_read(tmp_path):
    (tmp_path / "hub.toml").write_text("workers = 5")
    assert load(environ={}).workers == 5


def test_the_file_may_be_named_by_a_variable(tmp_path):
    assert load(environ={"HUB_SETTINGS": str(written(tmp_path, "workers = 5"))}).workers == 5


@pytest.mark.parametrize("text, name", [
    ("web_prot = 9000", "web_prot"), ("web_port = 70000", "web_port"), ("web_port = 0", "web_port"), ('web_port = "http"', "web_port"),
    ("web_port = 8080.5", "web_port"), ("web_port = true", "web_port"), ("institution_zh = 7", "institution_zh"),
    ('language = "fr"', "language"), ('timezone = "Mars/Olympus"', "timezone"), ('timezone = "../../etc/passwd"', "timezone"),
    ('dicom_ae_title = "SEVENTEEN_LETTERS"', "dicom_ae_title"), ('dicom_ae_title = "中心"', "dicom_ae_title"),
    ('dicom_ae_title = " "', "dicom_ae_title"), ("released_quiet_s = nan", "released_quiet_s"), ("study_quiet_s = -1", "study_quiet_s"),
    ('data_dir = ""', "data_dir"), ('database_url = "mysql://x"', "database_url"), ('redis_url = "localhost:6379"', "redis_url"),
    ('public_url = "hub.example"', "public_url"),
])
def test_a_wrong_setting_is_named(tmp_path, text, name):
    error = refused(written(tmp_path, text))
    assert error.code == "bad_setting" and name in error.zh and name in error.en


@pytest.mark.parametrize("variable, value", [("HUB_WEB_PORT", "web"), ("HUB_WORKERS", ""), ("HUB_JOB_LEASE_S", "inf"), ("HUB_WEB_PROT", "9000")])
def test_a_wrong_variable_is_named(variable, value):
    error = refused(**{variable: value})
    assert variable in error.en or variable.removeprefix("HUB_").lower() in error.en


def test_a_file_that_was_named_and_is_not_there_stops_the_start(tmp_path):
    assert "nowhere.toml" in refused(tmp_path / "nowhere.toml").en


@pytest.mark.parametrize("content", [b"web_port = ", b"\xff\xfe", b"[web_port\n"])
def test_a_file_that_is_no_toml_stops_the_start(tmp_path, content):
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(Invalid) as refusal:
        load(file, {})
    assert "bad.toml" in refusal.value.en


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(FrozenInstanceError):
        load(environ={}).web_port = 1


def test_every_setting_says_what_it_is_for_and_its_default_is_allowed():
    for one in fields(Settings):
        assert len(one.metadata["about"]) > 10, one.name
        if one.metadata["least"] is not None:
            assert one.metadata["least"] <= one.default <= one.metadata["most"]


def test_the_page_of_settings_is_the_printed_one():
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == print_settings.page()
