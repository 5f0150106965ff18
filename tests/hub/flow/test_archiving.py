"""Archive packing of read studies: nobody who asks for a blob notices, and a kill at any step loses nothing."""
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.data import get_testdata_files
from sqlalchemy import update

from hub.context import open_hub
from hub.errors import NotFound
from hub.flow import archiving, fixity, reporting
from hub.flow.jobs import perform
from hub.model.access import SYSTEM
from hub.storage import archive, migration, packing
from hub.storage.tables import archived, archived_study, job, study
from tests.conftest import with_settings
from tests.hub.arrivals import close_and_prepare, drafted, reading_of, rows, send, slice_facts

CT = Path(get_testdata_files("CT_small.dcm")[0]).read_bytes()
COMPRESSED = Path(get_testdata_files("JPEG2000.dcm")[0]).read_bytes()


def contents(number: int) -> bytes:
    """A CT slice that differs from the others in its pixels."""
    return CT[:-900] + bytes([number, 0]) + CT[-898:]


def read_study(hub, county, clock, objects: dict[int, bytes] | None = None) -> int:
    """A CT whose report was signed 91 days ago."""
    for number, content in (objects or {n: contents(n) for n in (1, 2, 3)}).items():
        study_id = send(hub, county.ct, slice_facts(number, expected=len(objects or "123")), content).study_id
    reading_id = close_and_prepare(hub, clock, study_id)
    drafted(hub, county.reader, reading_id)
    reporting.submit(hub, county.reader, reading_id)
    reporting.sign(hub, county.reviewer, reading_id)
    clock.forward(days=91)
    return study_id


def hashes(content=contents) -> list[str]:
    return [hashlib.sha256(content(n)).hexdigest() for n in (1, 2, 3)]


def test_a_study_read_long_ago_is_packed_and_every_way_to_its_bytes_gives_the_same(hub, county, clock):
    study_id = read_study(hub, county, clock)
    assert [row.id for row in archiving.due(hub)] == [study_id]
    sums = archiving.archive_study(hub, study_id)
    assert (sums.files, sums.left) == (3, 0) and sums.size == 3 * len(CT) and sums.packed_size < sums.size
    for number, sha256 in enumerate(hashes(), 1):
        assert hub.blobs.original(sha256) is None
        assert hub.blobs.read(sha256) == contents(number) == hub.blobs.path(sha256).read_bytes()
        assert hub.blobs.fixity(sha256)[0] == "intact"
    assert archiving.due(hub) == [] and len(rows(hub, archived_study)) == 1


def test_a_study_that_is_not_reported_or_too_fresh_is_not_touched(hub, county, clock):
    study_id = read_study(hub, county, clock)
    clock.forward(days=-2)
    assert archiving.due(hub) == []
    clock.forward(days=2)
    reporting.amend(hub, county.reviewer, reading_of(hub, study_id).id, "补充")
    assert archiving.due(hub) == []


def test_nothing_is_due_where_packing_is_switched_off(hub, county, clock):
    read_study(hub, county, clock)
    assert archiving.due(with_settings(hub, archive_after_days=0)) == []


def test_what_cannot_be_given_back_is_left_and_said(hub, county, clock):
    study_id = read_study(hub, county, clock, {1: contents(1), 2: COMPRESSED, 3: b"no DICOM at all"})
    sums = archiving.archive_study(hub, study_id)
    assert (sums.files, sums.left) == (1, 2)
    assert {row.outcome for row in rows(hub, archived)} == {"packed", "compressed", "unreadable"}
    assert hub.blobs.original(hashlib.sha256(COMPRESSED).hexdigest()) is not None


STEPS = ("written", "placed", "row", "dropped", "noted")


class Killed(BaseException):
    """As kill -9: nothing after it runs, no handler catches it."""


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_after_any_step_loses_nothing_and_the_next_run_ends_it(hub, county, clock, monkeypatch, step):
    study_id = read_study(hub, county, clock)
    with monkeypatch.context() as planted:
        def kill_after(module, name):
            before = getattr(module, name)

            def dying(*args, **more):
                before(*args, **more)
                raise Killed
            planted.setattr(module, name, dying)
        if step == "written":
            planted.setattr(packing.os, "replace", lambda *_: (_ for _ in ()).throw(Killed()))
        elif step == "placed":
            kill_after(archiving, "_packed")
        elif step == "row":
            planted.setattr(archiving, "_drop", lambda *_: (_ for _ in ()).throw(Killed()))
        elif step == "dropped":
            kill_after(packing, "drop_original")
        else:
            planted.setattr(archiving, "_finished", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            archiving.archive_study(hub, study_id)
    for number, sha256 in enumerate(hashes(), 1):
        assert hub.blobs.read(sha256) == contents(number)
    assert archiving.archive_study(hub, study_id).files == 3
    for number, sha256 in enumerate(hashes(), 1):
        assert hub.blobs.original(sha256) is None and hub.blobs.read(sha256) == contents(number)
    assert archiving.archive_study(hub, study_id).files == 3 and archiving.due(hub) == []


def test_a_packer_that_loses_a_bit_never_replaces_an_original(hub, county, clock, monkeypatch):
    study_id = read_study(hub, county, clock)
    real = packing.import_module("dicom_gateway.packing")
    with monkeypatch.context() as planted:
        planted.setattr(real, "_restored", lambda above, lowest, dtype, signed: (above + 77).astype(dtype))
        sums = archiving.archive_study(hub, study_id)
    assert (sums.files, sums.left) == (0, 3) and {row.outcome for row in rows(hub, archived)} == {"not_reproduced"}
    assert [hub.blobs.original(sha256) is None for sha256 in hashes()] == [False] * 3


def test_a_packed_form_that_was_damaged_before_the_original_went_keeps_the_original(hub, county, clock, monkeypatch):
    study_id = read_study(hub, county, clock)
    with monkeypatch.context() as planted:
        planted.setattr(archiving, "_drop", lambda *_: None)
        archiving.archive_study(hub, study_id)
    place = packing.packed_place(hub.blobs.folder, hashes()[1])
    place.write_bytes(place.read_bytes()[:-40])
    archiving.archive_study(hub, study_id)
    assert hub.blobs.read(hashes()[1]) == contents(2), "the original is still there"
    archiving.archive_study(hub, study_id)
    assert hub.blobs.original(hashes()[1]) is None and hub.blobs.read(hashes()[1]) == contents(2)


@pytest.mark.parametrize("fault", ["changed", "cut", "missing"])
def test_a_damaged_packed_file_is_named_and_never_given_out_and_the_same_bytes_mend_it(hub, county, clock, fault):
    study_id = read_study(hub, county, clock)
    archiving.archive_study(hub, study_id)
    place = packing.packed_place(hub.blobs.folder, hashes()[0])
    content = bytearray(place.read_bytes())
    if fault == "changed":
        content[len(content) // 2] ^= 0x10
    place.unlink() if fault == "missing" else place.write_bytes(content[:-50] if fault == "cut" else content)
    with pytest.raises(NotFound):
        hub.blobs.read(hashes()[0])
    fixity.check_everything(hub, lambda done, of: None)
    assert [one.sha256 for one in fixity.damaged(hub, SYSTEM)] == [hashes()[0]]
    assert send(hub, county.ct, slice_facts(1, expected=3), contents(1)).outcome == "duplicate"
    assert hub.blobs.read(hashes()[0]) == contents(1)
    assert fixity.check_some(hub, 1).mended == 1


def test_a_backup_brings_packed_files_back(hub, county, clock, tmp_path, databases):
    archiving.archive_study(hub, read_study(hub, county, clock))
    file, second = tmp_path / "all.tar", tmp_path / "second"
    archive.write(hub.engine, hub.settings.folder, file, lambda done, of: None)
    other = open_hub(replace(hub.settings, data_dir=str(second), database_url=""), clock)
    migration.migrate(other.engine)
    archive.read(other.engine, second, file, lambda done, of: None)
    assert [other.blobs.read(sha256) for sha256 in hashes()] == [contents(n) for n in (1, 2, 3)]
    other.close()
    damaged = tmp_path / "damaged.tar"
    with tarfile.open(file) as source, tarfile.open(damaged, "w") as target:
        for member in source.getmembers():
            content = source.extractfile(member).read()
            if member.name.endswith(packing.SUFFIX):
                content = content[:300] + bytes([content[300] ^ 1]) + content[301:]
            target.addfile(member, io.BytesIO(content))
    third = open_hub(replace(hub.settings, data_dir=str(tmp_path / "third"), database_url=""), clock)
    migration.migrate(third.engine)
    with pytest.raises(Exception, match="bad_archive"):
        archive.read(third.engine, tmp_path / "third", damaged, lambda done, of: None)
    third.close()


def test_the_night_packs_one_study_at_a_time_and_the_day_none(hub, county, clock):
    study_id = read_study(hub, county, clock)
    assert archiving.order_nightly(hub) == 0, "half past eight in the morning"
    clock.forward(hours=18)
    assert archiving.order_nightly(hub) == 1 and archiving.order_nightly(hub) == 0
    [one] = rows(hub, job, job.c.kind == "archive")
    assert perform(hub, one.id) == "done" and archiving.due(hub) == []
    with hub.writing() as connection:
        connection.execute(update(study).where(study.c.id == study_id).values(generation=9))
    assert [row.id for row in archiving.due(hub)] == [study_id], "a late image is packed in its turn"


def test_unpacked_copies_go_when_nobody_asked_for_them_lately(hub, county, clock):
    archiving.archive_study(hub, read_study(hub, county, clock))
    kept = hub.blobs.path(hashes()[0])
    assert hub.blobs.sweep_unpacked(kept.stat().st_mtime - 1) == 0
    assert hub.blobs.sweep_unpacked(kept.stat().st_mtime + 1) == 1
    assert hub.blobs.read(hashes()[0]) == contents(1)


def test_unpacked_copies_give_way_where_the_disk_is_tight(hub, county, clock):
    archiving.archive_study(hub, read_study(hub, county, clock))
    old = hub.blobs.path(hashes()[0])
    os.utime(old, (1, 1))
    hub.blobs.floor = 1 << 60
    assert hub.blobs.read(hashes()[1]) == contents(2) and not old.exists()
    assert hub.blobs.read(hashes()[0]) == contents(1)


WORKER = """
import sys
from dataclasses import replace
from hub.context import open_hub
from hub.flow import archiving
from hub.settings import Settings
archiving.BATCH = 4
hub = open_hub(replace(Settings(), data_dir=sys.argv[1], database_url=sys.argv[2]))
archiving.archive_study(hub, int(sys.argv[3]))
"""


def test_kill_nine_at_any_moment_leaves_every_byte_and_the_work_ends(hub, county, clock):
    objects = {n: contents(n) for n in range(1, 25)}
    study_id = read_study(hub, county, clock, objects)
    arguments = [sys.executable, "-c", WORKER, hub.settings.data_dir, hub.settings.database_url, str(study_id)]

    def packed() -> int:
        return sum(1 for _ in hub.blobs.folder.glob(f"??/*{packing.SUFFIX}"))

    for kill in range(5):
        enough = packed() + 1 + kill                  # somewhere in the middle of a batch, each time elsewhere
        assert_nothing_is_lost_by_a_kill(hub, arguments, objects, lambda: packed() < enough)
    assert subprocess.run(arguments, timeout=300).returncode == 0
    sums = archiving.sums(hub, SYSTEM)
    assert (sums.files, sums.left) == (24, 0) and archiving.due(hub) == []
    for content in objects.values():
        sha256 = hashlib.sha256(content).hexdigest()
        assert hub.blobs.original(sha256) is None and hub.blobs.read(sha256) == content


def assert_nothing_is_lost_by_a_kill(hub, arguments: list[str], objects: dict[int, bytes], goes_on) -> None:
    """The worker is killed when it has ended or no longer ``goes_on``; every object is there."""
    process = subprocess.Popen(arguments)
    while process.poll() is None and goes_on():
        time.sleep(0.001)
    process.kill()
    process.wait()
    for content in objects.values():
        assert hub.blobs.read(hashlib.sha256(content).hexdigest()) == content


def sent_again(hub, county, clock) -> int:
    """A packed study whose first slice came in once more; returns its id."""
    study_id = read_study(hub, county, clock)
    archiving.archive_study(hub, study_id)
    assert send(hub, county.ct, slice_facts(1, expected=3), contents(1)).outcome == "duplicate"
    assert hub.blobs.original(hashes()[0]) is not None and packing.packed_place(hub.blobs.folder, hashes()[0]).exists()
    return study_id


def assert_all_is_packed_and_there(hub) -> None:
    for number, sha256 in enumerate(hashes(), 1):
        assert hub.blobs.original(sha256) is None and hub.blobs.read(sha256) == contents(number)


def test_an_original_that_was_sent_again_is_packed_again(hub, county, clock):
    sent_again(hub, county, clock)
    assert list(packing.doubled(hub.blobs.folder)) == [hashes()[0]]
    assert archiving.archive_again(hub) == 1 and archiving.archive_again(hub) == 0
    assert_all_is_packed_and_there(hub)


@pytest.mark.parametrize("fault", ["changed", "cut", "empty"])
def test_a_packed_form_that_was_damaged_meanwhile_is_made_anew_of_what_came_again(hub, county, clock, fault):
    sent_again(hub, county, clock)
    place = packing.packed_place(hub.blobs.folder, hashes()[0])
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 0x10
    place.write_bytes({"changed": content, "cut": content[:-50], "empty": b""}[fault])
    assert archiving.archive_again(hub) == 1
    assert_all_is_packed_and_there(hub)


def test_what_cannot_be_packed_again_stays_with_its_damaged_form_beside_it(hub, county, clock, monkeypatch):
    sent_again(hub, county, clock)
    packing.packed_place(hub.blobs.folder, hashes()[0]).write_bytes(b"")
    real = packing.import_module("dicom_gateway.packing")
    monkeypatch.setattr(real, "_restored", lambda above, lowest, dtype, signed: (above + 77).astype(dtype))
    assert archiving.archive_again(hub) == 0
    assert hub.blobs.original(hashes()[0]) is not None and hub.blobs.read(hashes()[0]) == contents(1)


@pytest.mark.parametrize("step", ["before anything", "written", "placed", "dropped"])
def test_a_kill_while_it_is_packed_again_loses_nothing(hub, county, clock, monkeypatch, step):
    sent_again(hub, county, clock)
    packing.packed_place(hub.blobs.folder, hashes()[0]).write_bytes(b"")
    with monkeypatch.context() as planted:
        def killed(*_args, **_more):
            raise Killed

        def then_killed(before):
            def dying(*args, **more):
                before(*args, **more)
                raise Killed
            return dying
        if step == "before anything":
            planted.setattr(packing, "pack", killed)
        elif step == "written":
            planted.setattr(packing.os, "replace", killed)
        elif step == "placed":
            planted.setattr(packing, "pack", then_killed(packing.pack))
        else:
            planted.setattr(packing, "pack", then_killed(packing.pack))
            with pytest.raises(Killed):
                archiving.archive_again(hub)
            planted.setattr(packing, "drop_original", then_killed(packing.drop_original))
        with pytest.raises(Killed):
            archiving.archive_again(hub)
    assert hub.blobs.read(hashes()[0]) == contents(1)
    archiving.archive_again(hub)
    assert_all_is_packed_and_there(hub)


def test_an_original_whose_study_is_still_being_packed_or_kept_aside_is_left_alone(hub, county, clock, monkeypatch):
    study_id = read_study(hub, county, clock)
    with monkeypatch.context() as planted:
        planted.setattr(archiving, "_drop", lambda *_: None)
        archiving.archive_study(hub, study_id)
    assert len(list(packing.doubled(hub.blobs.folder))) == 3 and archiving.archive_again(hub) == 0
    assert all(hub.blobs.original(sha256) is not None for sha256 in hashes())


def test_the_night_looks_once_for_what_came_again_and_the_day_never(hub, county, clock):
    sent_again(hub, county, clock)
    assert archiving.order_second_look(hub) == 0, "half past eight in the morning"
    clock.forward(hours=18)
    assert archiving.order_second_look(hub) == 1 and archiving.order_second_look(hub) == 0
    assert archiving.order_second_look(with_settings(hub, archive_after_days=0)) == 0
    [one] = rows(hub, job, job.c.kind == "archive_again")
    assert perform(hub, one.id) == "done"
    assert_all_is_packed_and_there(hub)
    clock.forward(days=1)
    assert archiving.order_second_look(hub) == 1


AGAIN = WORKER.replace("archiving.archive_study(hub, int(sys.argv[3]))", "archiving.archive_again(hub)")


def test_kill_nine_while_originals_are_packed_again_leaves_every_byte(hub, county, clock):
    objects = {n: contents(n) for n in range(1, 25)}
    study_id = read_study(hub, county, clock, objects)
    archiving.archive_study(hub, study_id)
    for number, content in objects.items():
        assert send(hub, county.ct, slice_facts(number, expected=24), content).outcome == "duplicate"
    for place in list(hub.blobs.folder.glob(f"??/*{packing.SUFFIX}"))[::2]:
        place.write_bytes(b"damaged")
    arguments = [sys.executable, "-c", AGAIN, hub.settings.data_dir, hub.settings.database_url]
    for _kill in range(5):
        enough = len(list(packing.doubled(hub.blobs.folder))) - 2
        assert_nothing_is_lost_by_a_kill(hub, arguments, objects, lambda: len(list(packing.doubled(hub.blobs.folder))) > enough)
    assert subprocess.run(arguments, timeout=300).returncode == 0
    for content in objects.values():
        sha256 = hashlib.sha256(content).hexdigest()
        assert hub.blobs.original(sha256) is None and hub.blobs.read(sha256) == content
