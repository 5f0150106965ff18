"""The command line as it is typed: what it prints, what it changes, and how it ends."""
import re
import sys
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from hub import cli
from hub.context import open_hub
from hub.flow import dispatch, intake
from hub.flow.administration import verify_audit
from hub.flow.archiving import Sums
from hub.settings import load
from hub.storage.tables import account, device, site
from tests.conftest import PASSWORD
from tests.hub import arrivals


@pytest.fixture
def hub_command(tmp_path, monkeypatch, capsys, databases):
    """Runs ``hub …`` in a folder of its own and returns (exit code, what it printed, what it complained of)."""
    monkeypatch.chdir(tmp_path)
    url = databases.new(tmp_path / "data")
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_DATABASE_URL", url)
    monkeypatch.setenv("HUB_FREE_SPACE_FLOOR_MB", "0")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as ending:
            code = ending.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    databases.drop(url)


@pytest.fixture
def opened(hub_command):
    hub_command("migrate")
    hub = open_hub(load())
    yield hub
    hub.close()


def test_help_names_every_command(hub_command):
    code, out, _ = hub_command("--help")
    assert code == 0 and all(re.search(rf"^  {name} ", out, re.M) for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(hub_command, name):
    code, out, _ = hub_command(name, "--help")
    assert code == 0 and "Usage:" in out and len(out.splitlines()) > 3


def test_an_unknown_command_is_named_and_ends_with_two(hub_command):
    code, _, err = hub_command("nonsense")
    assert code == 2 and "nonsense" in err


def test_a_bad_setting_stops_every_command_with_one_sentence_in_each_language(hub_command, monkeypatch):
    monkeypatch.setenv("HUB_WEB_PORT", "http")
    code, _, err = hub_command("status")
    assert code == 2 and "web_port" in err and "Traceback" not in err and len(err.strip().splitlines()) == 2


def test_a_county_is_made_by_hand(hub_command, opened):
    assert hub_command("site", "add", "QS", "青山镇卫生院")[0] == 0
    assert hub_command("user", "add", "wang", "--name", "王报告", "--role", "reader", "--password", PASSWORD)[0] == 0
    assert hub_command("user", "add", "clinic", "--name", "青山", "--role", "clinic", "--site", "QS", "--password", PASSWORD)[0] == 0
    code, token, _ = hub_command("device", "add", "--site", "QS", "--kind", "ecg")
    assert code == 0 and len(token.strip()) > 30
    assert hub_command("device", "add", "--site", "QS", "--kind", "dicom", "--ae-title", "CT1")[0] == 0
    assert hub_command("site", "destination", "QS", "dicom", "PACS", "10.0.0.9", "104")[0] == 0
    assert [len(arrivals.rows(opened, table)) for table in (site, account, device)] == [1, 2, 2]
    assert "王报告" in hub_command("user", "list")[1] and "CT1" in hub_command("device", "list")[1]
    assert "青山镇卫生院" in hub_command("site", "list")[1]
    assert hub_command("user", "off", "wang")[0] == 0 and not arrivals.rows(opened, account)[0].active
    assert hub_command("user", "on", "wang")[0] == 0 and arrivals.rows(opened, account)[0].active
    assert verify_audit(opened).broken_at is None


@pytest.mark.parametrize("words", [
    ("site", "destination", "NO", "dicom", "PACS", "10.0.0.9", "104"), ("device", "add", "--site", "NO", "--kind", "ecg"),
    ("user", "off", "nobody"), ("device", "token", "99"), ("verify", __file__),
])
def test_what_cannot_be_done_ends_with_two_and_says_why(hub_command, words):
    code, _, err = hub_command(*words)
    assert code == 2 and "Traceback" not in err and err.strip()


def test_status_tells_what_waits(hub_command):
    code, out, _ = hub_command("status")
    assert code == 0 and "redis       away" in out and "studies     none" in out and "held        0 open" in out


def test_the_audit_is_whole_until_somebody_changes_it(hub_command, opened):
    hub_command("site", "add", "QS", "青山镇卫生院")
    assert hub_command("audit", "verify")[0] == 0
    with opened.writing() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_no_update"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        connection.execute(text("UPDATE audit SET actor = 'x' WHERE seq = 1"))
    code, out, _ = hub_command("audit", "verify")
    assert code == 1 and "entry 1 is broken" in out


def test_backup_and_restore_by_hand(hub_command, tmp_path, monkeypatch, databases):
    hub_command("site", "add", "QS", "青山镇卫生院")
    assert hub_command("backup", "hub.tar")[0] == 0
    code, _, err = hub_command("restore", "hub.tar")
    assert code == 2 and "empty hub" in err
    url = databases.new(tmp_path / "second")
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "second"))
    monkeypatch.setenv("HUB_DATABASE_URL", url)
    assert hub_command("restore", "hub.tar")[0] == 0 and "青山镇卫生院" in hub_command("site", "list")[1]
    databases.drop(url)


def test_verify_tells_a_signed_report_from_a_changed_one(hub_command, tmp_path, hub, county, clock, keys):
    hub.keys_folder.symlink_to(keys)
    report_id = arrivals.signed_report(hub, county, clock)
    dispatch.issue_letter(hub, report_id)
    _, pdf = dispatch.signed_pdf(hub, county.clinic, report_id)
    for name, content in (("good.pdf", pdf), ("bad.pdf", pdf.replace(b"/Type", b"/Typo", 1))):
        (tmp_path / name).write_bytes(content)
    root = str(keys / "authority" / "root.pem")
    assert hub_command("verify", "--root", root, "good.pdf")[0] == 0
    code, out, _ = hub_command("verify", "--root", root, "bad.pdf")
    assert code == 1 and out.strip()


def test_settings_are_printed_with_their_values(hub_command, monkeypatch):
    monkeypatch.setenv("HUB_WORKERS", "7")
    code, out, _ = hub_command("settings")
    assert code == 0 and "workers = 7" in out


def test_fixity_counts_the_files_and_says_no_when_one_is_damaged(hub_command, opened):
    kept = opened.blobs.keep(b"an original")
    intake.quarantine(opened, None, "dicom", (kept,), "unparsable")
    code, out, _ = hub_command("fixity")
    assert code == 0 and "1 files" in out
    opened.blobs.path(kept.sha256).write_bytes(b"an originaX")
    code, out, _ = hub_command("fixity")
    assert code == 1 and "changed" in out and kept.sha256 in out


def test_a_device_is_checked_moved_and_given_a_certificate_from_the_command_line(hub_command, tmp_path):
    hub_command("site", "add", "QS", "青山镇卫生院")
    hub_command("site", "add", "BH", "白河乡卫生院")
    _, number, _ = hub_command("device", "add", "--site", "QS", "--kind", "dicom", "--name", "CT", "--ae-title", "QS_CT")
    code, out, _ = hub_command("device", "check", number.strip())
    assert code == 0 and "青山镇卫生院" in out and "还没有收到该设备的图像" in out and "→" in out
    assert hub_command("device", "move", number.strip(), "--site", "BH")[0] == 0
    assert "nothing has arrived" in (said := hub_command("device", "check", number.strip(), "--english")[1]) and "白河乡卫生院" in said
    file = tmp_path / "ct.pem"
    assert hub_command("device", "certificate", number.strip(), str(file))[0] == 0
    assert file.stat().st_mode & 0o777 == 0o600 and b"PRIVATE KEY" in (first := file.read_bytes()) and b"BEGIN CERTIFICATE" in first
    assert hub_command("device", "certificate", number.strip(), str(file))[0] == 2 and file.read_bytes() == first
    token = hub_command("device", "add", "--site", "QS", "--kind", "ecg", "--name", "心电图机")[1]
    assert token and "还没有收到该心电图机的记录" in hub_command("device", "check", "2")[1]


def test_archive_packs_what_is_due_and_prints_how_small_it_became(hub_command, opened, tmp_path, monkeypatch):
    code, out, _ = hub_command("archive")
    assert code == 0 and "0 files packed" in out
    monkeypatch.setattr("hub.flow.archiving.due", lambda hub, most=50: [SimpleNamespace(id=1)])
    monkeypatch.setattr("hub.flow.archiving.archive_study", lambda hub, study_id, told: told(3))
    monkeypatch.setattr("hub.flow.archiving.sums", lambda hub, actor: Sums(3, 3_000_000, 1_000_000, 2))
    code, out, _ = hub_command("archive")
    assert code == 0 and "3 files packed, 3 MB in 1 MB (3.00:1), 2 left as they came" in out
