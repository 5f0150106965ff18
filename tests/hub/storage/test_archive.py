"""Backup and restore: everything comes back, from one database to the other too; a bad archive enters nothing."""
import io
import json
import shutil
import tarfile
import uuid

import pytest
from sqlalchemy import insert, select

from hub.context import open_hub
from hub.errors import Invalid
from hub.flow import administration, dispatch
from hub.flow.administration import verify_audit
from hub.model.access import SYSTEM
from hub.settings import Settings
from hub.storage import archive, migration
from hub.storage.tables import metadata, site
from tests.conftest import TestClock
from tests.hub import arrivals


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory, databases, county_template, keys):
    """A hub with a report that was issued, a held object and key files, and the archive made of it."""
    folder, county, clock = tmp_path_factory.mktemp("busy"), county_template[1], TestClock()
    url = databases.new(folder / "data", county_template[0])
    hub = open_hub(Settings(data_dir=str(folder / "data"), database_url=url, free_space_floor_mb=0), clock)
    shutil.copytree(keys, hub.keys_folder)
    dispatch.issue_letter(hub, arrivals.signed_report(hub, county, clock))
    arrivals.send(hub, county.ct, arrivals.slice_facts(1), b"other bytes under the same UID")
    (hub.settings.folder / "demo.json").write_text('{"ecg_token": "t"}')
    yield hub, written(hub, folder)
    hub.close()
    databases.drop(url)


@pytest.fixture
def busy(backed_up):
    return backed_up[0]


@pytest.fixture
def file(backed_up):
    return backed_up[1]


@pytest.fixture(params=["the same kind", "sqlite"])
def second(request, tmp_path, databases):
    """An empty hub to restore into: on the suite's database, and on SQLite whatever the suite runs on."""
    folder = tmp_path / "second"
    url = databases.new(folder) if request.param == "the same kind" else ""
    hub = open_hub(Settings(data_dir=str(folder), database_url=url))
    migration.migrate(hub.engine)
    yield hub
    hub.close()
    if url:
        databases.drop(url)


def everything(hub) -> dict:
    with hub.reading() as connection:
        return {table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for table in metadata.sorted_tables}


def blobs_of(hub) -> dict:
    return {path.name: path.read_bytes() for path in hub.blobs.folder.glob("??/*")}


def nothing(_done, _of) -> None:
    pass


def written(hub, tmp_path):
    file = tmp_path / "hub.tar"
    archive.write(hub.engine, hub.settings.folder, file, nothing)
    return file


def rewritten(file, tmp_path, change) -> object:
    """The archive with its members as ``change(name, content)`` would have them; None leaves one out."""
    other = tmp_path / "other.tar"
    with tarfile.open(file) as old, tarfile.open(other, "w") as new:
        for member in old.getmembers():
            if member.isfile():
                made = change(member.name, old.extractfile(member).read())
                if made is not None:
                    info = tarfile.TarInfo(made[0])
                    info.size = len(made[1])
                    new.addfile(info, io.BytesIO(made[1]))
    return other


def restore(hub, file) -> int:
    return archive.read(hub.engine, hub.settings.folder, file, nothing)


def test_what_is_restored_is_what_was_backed_up(busy, second, tmp_path):
    steps = []
    file = tmp_path / "hub.tar"
    total = archive.write(busy.engine, busy.settings.folder, file, lambda done, of: steps.append((done, of)))
    assert total == len(blobs_of(busy)) and steps[-1] == (total, total)
    assert restore(second, file) == total
    assert everything(second) == everything(busy)
    assert blobs_of(second) == blobs_of(busy)
    for name in ("demo.json", "keys/authority/root.pem"):
        assert (second.settings.folder / name).read_bytes() == (busy.settings.folder / name).read_bytes()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (second.settings.folder / "keys").rglob("*") if path.is_file())
    assert verify_audit(second).broken_at is None


def test_a_restored_hub_goes_on_where_the_old_one_stopped(busy, second, file):
    restore(second, file)
    site_id = administration.create_site(second, SYSTEM, code="NEW", name="新机构")
    assert site_id > max(row[0] for row in everything(busy)["site"])
    assert verify_audit(second).broken_at is None


def test_a_hub_in_use_is_not_overwritten(second, file):
    with second.writing() as connection:
        connection.execute(insert(site).values(code="A", name="A", level="", phone="", active=True, created_at=second.now()))
    before = everything(second)
    with pytest.raises(Invalid) as refusal:
        restore(second, file)
    assert refusal.value.code == "not_empty" and everything(second) == before


def entered_nothing(hub) -> bool:
    return not (hub.settings.folder / "keys").exists() and not any(rows for name, rows in everything(hub).items() if name != "audit_head")


def flip(name, content):
    return (name, b"\0" + content[1:]) if name.startswith("blobs/") else (name, content)


def other_schema(name, content):
    return (name, json.dumps(json.loads(content) | {"schema": "0000"}).encode()) if name == "about.json" else (name, content)


def without_blobs(name, content):
    return None if name.startswith("blobs/") else (name, content)


def without_reports(name, content):
    return None if name == "rows/report.jsonl" else (name, content)


def shortened_rows(name, content):
    return (name, b"\n".join(content.splitlines()[:-1])) if name == "rows/audit.jsonl" else (name, content)


def smuggled(to):
    def change(name, content):
        return (to, b"evil") if name == "files/demo.json" else (name, content)
    return change


@pytest.mark.parametrize("change", [
    flip, other_schema, without_blobs, without_reports, shortened_rows, smuggled("files/../evil"), smuggled("files//tmp/evil"),
    smuggled("files/keys/../../evil"), smuggled("files/hub.sqlite3"),
], ids=["damaged file", "other schema", "no files", "no reports", "rows cut", "dots", "absolute", "dots below", "database"])
def test_a_bad_archive_enters_nothing(second, file, tmp_path, change):
    with pytest.raises(Invalid):
        restore(second, rewritten(file, tmp_path, change))
    assert entered_nothing(second)
    assert not (tmp_path / "evil").exists()


def test_an_archive_cut_off_anywhere_enters_nothing(second, file, tmp_path):
    whole = file.read_bytes()
    cut = tmp_path / "cut.tar"
    for share in (0, 0.1, 0.5, 0.9):
        cut.write_bytes(whole[:int(len(whole) * share)])
        with pytest.raises(Invalid):
            restore(second, cut)
        assert entered_nothing(second)


def test_the_archive_appears_only_when_it_is_whole(busy, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("the disk was taken away")

    file = tmp_path / "hub.tar"
    with pytest.raises(OSError):
        archive.write(busy.engine, busy.settings.folder, file, broken)
    assert not file.exists()


def test_a_backup_of_a_hub_at_work_is_of_one_moment(busy, second, tmp_path, county):
    """A study that arrives while files are being copied is either whole in the archive or not in it at all."""
    arrived, study_uid = [], f"2.25.{uuid.uuid4().int}"

    def arrive(done, _of):
        if done == 1:
            arrived.append(arrivals.send_ct(busy, county.ct, study_uid))

    file = tmp_path / "hub.tar"
    archive.write(busy.engine, busy.settings.folder, file, arrive)
    restore(second, file)
    assert arrived and study_uid not in str(everything(second)["study"])
    assert verify_audit(second).broken_at is None
