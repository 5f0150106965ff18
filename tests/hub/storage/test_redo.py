"""The redo log of small blobs: what was kept is on disk once, under its own name or in the log, whatever fails."""
import errno
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub import health
from hub.context import open_hub
from hub.settings import Settings
from hub.storage import blobs as blobs_room
from hub.storage import redo
from hub.storage.blobs import Blobs
from hub.storage.packing import packed_place

SMALL = [f"slice {number}".encode() * (number + 1) for number in range(40)]


@pytest.fixture
def quiet(monkeypatch):
    """The log's thread settles nothing by itself."""
    monkeypatch.setattr(redo, "EVERY_S", 10_000)


@pytest.fixture
def blobs(tmp_path, quiet):
    one = Blobs(tmp_path / "blobs")
    one.open_redo_log()
    yield one
    one.close_redo_log()


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, str]]:
    """What was synchronised and renamed, by its path, in order."""
    seen, renamed = [], blobs_room.renamed

    def spy(name):
        real = getattr(os, name)

        def act(handle):
            real(handle)
            seen.append((name, os.readlink(f"/proc/self/fd/{handle}")))
        monkeypatch.setattr(os, name, act)

    def spy_rename(source, target):
        seen.append(("rename", target))
        return renamed(source, target)

    spy("fsync")
    spy("fdatasync")
    monkeypatch.setattr(blobs_room, "renamed", spy_rename)
    return seen


def ends_without_a_word(blobs: Blobs) -> None:
    """As the log's process ends by kill -9."""
    for one in blobs._redo._segments:
        one.close()
    blobs._redo._segments = []


def after_the_cut(blobs: Blobs, *lost: bytes, how=Path.unlink) -> Blobs:
    """The store as the next process finds it: the log's owner is gone without a word, and of ``lost`` the disk kept nothing, or what ``how`` leaves."""
    for content in lost:
        how(blobs.folder / (name := hashlib.sha256(content).hexdigest())[:2] / name)
    ends_without_a_word(blobs)
    found = Blobs(blobs.folder)
    redo.recover(found)
    return found


def test_a_small_blob_is_in_the_log_and_on_disk_before_it_counts_as_kept_and_its_own_file_is_not_waited_for(blobs, calls):
    kept = blobs.keep(SMALL[3])
    place, log = str(blobs.path(kept.sha256)), str(blobs.folder / "redo" / "0")
    assert calls[-2:] == [("rename", place), ("fdatasync", log)] and blobs.read(kept.sha256) == SMALL[3]
    assert ("fsync", place) not in calls


def test_what_is_kept_comes_back_after_a_power_cut_whatever_was_left_of_its_file(blobs):
    kept = [blobs.keep(content) for content in SMALL]
    shortened = after_the_cut(blobs, *SMALL[:10])
    for how in (lambda path: os.truncate(path, 0), lambda path: path.write_bytes(b"\0" * path.stat().st_size)):
        blobs.open_redo_log()
        for content in SMALL[10:20]:
            (blobs.folder / (name := hashlib.sha256(content).hexdigest())[:2] / name).unlink()
            blobs.keep(content)
        shortened = after_the_cut(blobs, *SMALL[10:20], how=how)
    assert [shortened.read(one.sha256) for one in kept] == SMALL
    assert not list(blobs.incoming.iterdir())


def test_a_hub_that_opens_puts_it_right_before_anybody_asks(tmp_path, quiet):
    hub = open_hub(Settings(data_dir=str(tmp_path)))
    hub.blobs.open_redo_log()
    kept = hub.blobs.keep(SMALL[5])
    ends_without_a_word(hub.blobs)
    hub.blobs.path(kept.sha256).unlink()
    hub.close()
    again = open_hub(Settings(data_dir=str(tmp_path), free_space_floor_mb=10**9))
    assert again.blobs.read(kept.sha256) == SMALL[5], "below the floor, too: it was acknowledged"
    again.close()


def test_a_record_that_is_not_whole_is_not_taken_for_a_blob_and_those_behind_it_are(blobs):
    kept = [blobs.keep(content) for content in SMALL[:3]]
    second = redo.PAGE * 2 + redo.RECORD.size
    with open(blobs.folder / "redo" / "0", "r+b") as log:
        log.seek(second)
        log.write(b"torn")
    found = after_the_cut(blobs, *SMALL[:3])
    assert found.read(kept[0].sha256) == SMALL[0] and found.read(kept[2].sha256) == SMALL[2] and not found.path(kept[1].sha256).exists()


def test_what_was_settled_once_does_not_come_back_after_it_was_removed(blobs):
    kept = blobs.keep(SMALL[0])
    blobs.close_redo_log()
    blobs.path(kept.sha256).unlink()
    redo.recover(blobs)
    assert not blobs.path(kept.sha256).exists()


def test_a_log_whose_first_page_is_damaged_is_read_all_the_same(blobs):
    kept = blobs.keep(SMALL[0])
    with open(blobs.folder / "redo" / "0", "r+b") as log:
        log.write(b"\0" * redo.START.size)
    assert after_the_cut(blobs, SMALL[0]).read(kept.sha256) == SMALL[0]


def test_a_blob_that_was_packed_since_stays_packed(blobs):
    kept = blobs.keep(SMALL[0])
    place = blobs.path(kept.sha256)
    place.rename(packed_place(blobs.folder, kept.sha256))
    after_the_cut(blobs)
    assert not place.exists() and packed_place(blobs.folder, kept.sha256).exists()


def test_the_files_and_their_folders_are_synchronised_before_the_log_begins_anew(blobs, calls):
    kept = [blobs.keep(content) for content in SMALL]
    calls.clear()
    log = str(blobs.folder / "redo" / "0")
    blobs.close_redo_log()
    cleared = calls.index(("fdatasync", log))
    for one in kept:
        place = blobs.path(one.sha256)
        assert calls.index(("fsync", str(place))) < calls.index(("fsync", str(place.parent))) < cleared


def test_one_synchronisation_serves_all_who_wait_for_it(blobs, monkeypatch):
    sync, count = os.fdatasync, []
    monkeypatch.setattr(os, "fdatasync", lambda handle: count.append(sync(handle)))
    writers = [blobs.writer() for _ in SMALL]
    for writer, content in zip(writers, SMALL, strict=True):
        writer.write(content)
        writer.gather()
    for writer in writers:
        writer.place()
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda writer: writer.settle(), writers))
    assert len(count) == 1 and [blobs.read(one.sha256) for one in kept] == SMALL


def test_a_full_segment_is_settled_while_the_other_is_filled(blobs, monkeypatch):
    monkeypatch.setattr(redo, "SEGMENT_BYTES", redo.PAGE * 9)
    kept = [blobs.keep(content) for content in SMALL]
    assert [blobs.read(one.sha256) for one in kept] == SMALL
    found = after_the_cut(blobs)
    assert [found.read(one.sha256) for one in kept] == SMALL


def test_a_blob_that_the_log_has_no_room_for_is_synchronised_by_itself(blobs, calls, monkeypatch):
    def never(*_):
        raise OSError(errno.EIO, "broken")
    monkeypatch.setattr(redo, "_settle", never)
    monkeypatch.setattr(redo, "SEGMENT_BYTES", redo.PAGE * 3)
    places = [str(blobs.path(blobs.keep(content).sha256)) for content in SMALL[:5]]
    assert [("fsync", place) in calls for place in places] == [False] * 4 + [True]
    monkeypatch.undo()


@pytest.mark.parametrize("size", [redo.SMALL_BYTES + 1, 700_000])
def test_a_big_blob_is_not_written_twice(blobs, calls, size):
    place = str(blobs.path(blobs.keep(bytes(size)).sha256))
    assert ("fsync", place) in calls and not [path for what, path in calls if what == "fdatasync"]


@pytest.mark.parametrize("size", [0, 1, redo.SMALL_BYTES])
def test_small_blobs_of_any_size_come_back_from_the_log(blobs, size):
    content = os.urandom(size)
    kept = blobs.keep(content)
    assert after_the_cut(blobs, content).read(kept.sha256) == content


def test_bytes_that_are_there_already_are_synchronised_by_themselves(blobs, calls):
    blobs.keep(SMALL[0])
    calls.clear()
    blobs.keep(SMALL[0])
    assert [what for what, _ in calls] == ["rename", "fsync", "fsync"]


def test_a_log_that_cannot_be_synchronised_is_given_up_and_every_blob_is_safe_by_itself(blobs, calls, monkeypatch):
    def broken(handle):
        raise OSError(errno.EIO, "broken")
    monkeypatch.setattr(os, "fdatasync", broken)
    places = [str(blobs.path(blobs.keep(content).sha256)) for content in SMALL[:2]]
    assert all(("fsync", place) in calls for place in places)


def test_a_second_look_at_a_log_that_failed_is_not_taken_for_success(blobs, calls, monkeypatch):
    """Linux reports a failed write once: the next call succeeds and has brought nothing."""
    sync, failures = os.fdatasync, [OSError(errno.EIO, "broken")]

    def once(handle):
        if failures:
            raise failures.pop()
        sync(handle)

    writers = [blobs.writer() for _ in range(2)]
    for writer, content in zip(writers, SMALL, strict=False):
        writer.write(content)
        writer.gather()
        writer.place()
    monkeypatch.setattr(os, "fdatasync", once)
    places = [str(blobs.path(writer.settle().sha256)) for writer in writers]
    assert all(("fsync", place) in calls for place in places)


def test_a_file_that_cannot_be_synchronised_is_written_again_from_the_log_even_at_the_second_attempt(blobs, monkeypatch):
    kept = [blobs.keep(content) for content in SMALL[:3]]
    bad, fsync, keep = str(blobs.path(kept[1].sha256)), os.fsync, Blobs.keep
    before, failures = os.stat(bad).st_ino, [1]

    def fails_once(handle):
        if failures and os.readlink(f"/proc/self/fd/{handle}") == bad:
            failures.pop()
            raise OSError(errno.EIO, "broken")
        fsync(handle)

    def fails_first(self, content, name=""):
        monkeypatch.setattr(Blobs, "keep", keep)
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fails_once)
    monkeypatch.setattr(Blobs, "keep", fails_first)
    blobs.close_redo_log()
    assert os.stat(bad).st_ino != before and blobs.read(kept[1].sha256) == SMALL[1]


def test_a_second_process_on_the_same_store_does_without_the_log_until_the_first_has_ended(blobs, calls):
    other = Blobs(blobs.folder)
    other.open_redo_log()
    place = str(other.path(other.keep(SMALL[0]).sha256))
    assert ("fsync", place) in calls
    redo.recover(other)                                   # nor does it touch what the first one holds
    blobs.keep(SMALL[1])
    blobs.close_redo_log()
    other._redo._tidy()
    calls.clear()
    other.keep(SMALL[2])
    assert calls[-1] == ("fdatasync", str(blobs.folder / "redo" / "0"))
    other.close_redo_log()


def test_the_log_of_a_process_that_was_killed_is_free_at_once(tmp_path, quiet):
    program = ("import os, signal, sys; from pathlib import Path; from hub.storage.blobs import Blobs; blobs = Blobs(Path(sys.argv[1]));"
               "blobs.open_redo_log(); print(blobs.keep(b'small').sha256, flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "blobs")], capture_output=True, text=True, timeout=120)
    found = Blobs(tmp_path / "blobs")
    found.path(done.stdout.strip()).unlink()
    found.open_redo_log()
    assert found.read(done.stdout.strip()) == b"small"
    found.close_redo_log()


def test_a_folder_that_cannot_hold_a_log_costs_nothing_but_the_log(tmp_path, calls):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "redo").write_text("in the way")
    blobs = Blobs(tmp_path / "blobs")
    blobs.open_redo_log()
    place = str(blobs.path(blobs.keep(SMALL[0]).sha256))
    assert ("fsync", place) in calls
    redo.recover(blobs)
    blobs.close_redo_log()


def test_the_disk_is_not_hurried_for_a_small_blob_that_the_log_holds(blobs, monkeypatch):
    hurried = []
    monkeypatch.setattr(blobs_room, "begin_to_write", hurried.append)
    blobs.keep(SMALL[0])
    assert not hurried
    blobs.keep(bytes(redo.SMALL_BYTES + 1))
    assert len(hurried) == 1


def test_files_that_are_not_synchronised_for_minutes_are_reported_as_a_failing_disk(tmp_path, quiet, monkeypatch):
    hub = open_hub(Settings(data_dir=str(tmp_path), free_space_floor_mb=0, free_space_warning_mb=0))
    hub.blobs.open_redo_log()
    hub.blobs.keep(SMALL[0])
    log = hub.blobs.folder / "redo" / "0"
    assert health.check(hub)["files"] == "ok"
    os.utime(log, (0, 0))
    assert health.check(hub)["files"] == "disk_failing"
    hub.blobs.close_redo_log()
    os.utime(log, (0, 0))
    assert health.check(hub)["files"] == "ok", "all is settled: an old log with nothing in it is quiet"
    hub.close()
