"""Bytes on disk: what ``keep`` has returned survives a power cut, and nothing is ever half there."""
import errno
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.errors import NotFound, OutOfSpace
from hub.storage import blobs as room
from hub.storage.blobs import Blobs
from hub.storage.packing import packed_place

CONTENT = b"sixty-four slices of a chest"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(tmp_path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, str]]:
    """Every fsync and rename, by the path that it concerned, in order."""
    seen, fsync, rename, replace = [], os.fsync, room.renamed, os.replace

    def spy_fsync(handle):
        seen.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
        fsync(handle)

    def spy_rename(source, target):
        done = rename(source, target)
        seen.append(("rename" if done else "no rename", str(target)))
        return done

    def spy_replace(source, target):
        seen.append(("replace", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(room, "renamed", spy_rename)
    monkeypatch.setattr(os, "replace", spy_replace)
    return seen


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_comes_back_under_its_hash(blobs):
    kept = blobs.keep(CONTENT, "slice.dcm")
    assert (kept.name, kept.sha256, kept.size) == ("slice.dcm", SHA256, len(CONTENT))
    assert blobs.read(SHA256) == CONTENT
    assert files_below(blobs.folder) == [blobs.folder / SHA256[:2] / SHA256]


def test_bytes_and_name_are_on_disk_before_keep_returns(blobs, calls):
    """The order that ends in one commit of the journal: name, then bytes, then the folder that holds the name."""
    blobs.keep(CONTENT)
    place = blobs.path(SHA256)
    steps = [calls.index(("rename", str(place))), calls.index(("fsync", str(place))), calls.index(("fsync", str(place.parent)))]
    assert steps == sorted(steps)
    assert calls.index(("fsync", str(blobs.folder))) < steps[0], "the entries of new folders"


def test_many_blobs_have_their_names_before_the_first_is_synchronised_and_all_are_safe_in_the_end(blobs, calls):
    contents = [bytes([number]) * 1000 for number in range(5)] + [bytes([0]) * 1000, b""]
    kept = blobs.keep_all(contents)
    assert [blobs.read(one.sha256) for one in kept] == contents and kept[0].sha256 == kept[5].sha256
    places = {str(blobs.path(one.sha256)) for one in kept}
    renames = [n for n, (what, path) in enumerate(calls) if what == "rename" and path in places]
    synchronised = {path: n for n, (what, path) in enumerate(calls) if what == "fsync"}
    assert len(renames) == 6 and all(max(renames) < synchronised[place] < synchronised[str(blobs.path(one.sha256).parent)]
                                     for one in kept for place in [str(blobs.path(one.sha256))])
    assert blobs.keep_all([]) == []


def test_the_disk_works_on_all_of_many_blobs_before_the_first_is_waited_for(blobs, calls, monkeypatch):
    begin = room.begin_to_write
    monkeypatch.setattr(room, "begin_to_write", lambda handle: calls.append(("begin", "")) or begin(handle))
    kept = blobs.keep_all([b"one", b"two", b"three"])
    places = [str(blobs.path(one.sha256)) for one in kept]
    assert [what for what, path in calls if what == "begin" or path in places] == ["begin"] * 3 + ["rename"] * 3 + ["fsync"] * 3


def test_more_blobs_than_may_be_open_at_once_are_all_kept(blobs):
    contents = [number.to_bytes(4, "big") for number in range(room.MOST_AT_ONCE * 2 + 3)]
    assert [blobs.read(one.sha256) for one in blobs.keep_all(contents)] == contents
    assert not list(blobs.incoming.iterdir())


def test_bytes_that_are_there_already_are_not_touched_before_the_new_ones_are_safe(blobs, calls):
    blobs.keep(CONTENT)
    calls.clear()
    blobs.keep(CONTENT)
    place = blobs.path(SHA256)
    assert [what for what, _ in calls] == ["no rename", "fsync", "replace", "fsync"]
    assert str(blobs.incoming) in calls[1][1] and calls[2][1] == str(place) and calls[3][1] == str(place.parent)


def test_an_original_beside_its_packed_form_does_not_come_before_it_is_safe(blobs, calls):
    first = blobs.keep(b"one slice")
    place = blobs.path(first.sha256)
    place.rename(packed_place(blobs.folder, first.sha256))
    calls.clear()
    assert blobs.keep(b"one slice") == first
    assert [what for what, _ in calls] == ["fsync", "replace", "fsync"]
    assert place.read_bytes() == b"one slice"


def test_a_system_that_cannot_rename_without_replacing_synchronises_first(blobs, calls, monkeypatch):
    monkeypatch.setattr(room, "renamed", lambda *_: False)
    blobs.keep(CONTENT)
    assert [what for what, _ in calls[-3:]] == ["fsync", "replace", "fsync"] and blobs.read(SHA256) == CONTENT


def test_a_half_blob_that_a_power_cut_left_under_the_name_is_healed_by_the_next_sender(blobs):
    blobs.keep(b"other")                               # makes the folders
    blobs.path(SHA256).write_bytes(CONTENT[:5])
    blobs.keep(CONTENT)
    assert blobs.read(SHA256) == CONTENT


def test_a_folder_that_another_process_has_just_made_is_synchronised_all_the_same(blobs, calls):
    blobs.path(SHA256).parent.mkdir(parents=True)       # made, perhaps not yet on disk
    blobs.keep(CONTENT)
    assert ("fsync", str(blobs.folder)) in calls


def test_a_blob_of_a_store_with_two_levels_of_folders_is_found(blobs):
    older = blobs.folder / SHA256[:2] / SHA256[2:4] / SHA256
    older.parent.mkdir(parents=True)
    older.write_bytes(CONTENT)
    assert blobs.path(SHA256) == older and blobs.read(SHA256) == CONTENT
    blobs.keep(CONTENT)
    assert blobs.path(SHA256) == blobs.folder / SHA256[:2] / SHA256 and blobs.read(SHA256) == CONTENT


@pytest.mark.parametrize("size", [0, 1, room.BUFFER_BYTES - 1, room.BUFFER_BYTES, room.BUFFER_BYTES + 1, 3 * room.BUFFER_BYTES + 7])
@pytest.mark.parametrize("piece", [4096, 131066, 10**7])
def test_bytes_of_any_size_in_pieces_of_any_size_come_back(blobs, size, piece):
    content = os.urandom(size)
    with blobs.writer() as writer:
        for place in range(0, size, piece):
            writer.write(content[place:place + piece])
            assert writer.size == min(size, place + piece)
        assert writer.head == content[:room.HEAD_BYTES]
        kept = writer.keep()
    assert (kept.sha256, kept.size) == (hashlib.sha256(content).hexdigest(), size)
    assert blobs.read(kept.sha256) == content and files_below(blobs.folder) == [blobs.path(kept.sha256)]


def test_memory_that_was_given_back_is_not_seen_by_the_next_writer(blobs):
    with blobs.writer() as writer:
        writer.write(b"one patient" * 100)
    with blobs.writer() as writer:
        writer.write(b"x")
        assert writer.head == b"x" and blobs.read(writer.keep().sha256) == b"x"


def test_the_store_itself_is_synchronised_into_its_parents(tmp_path, calls):
    Blobs(tmp_path / "data" / "blobs")
    assert {("fsync", str(tmp_path)), ("fsync", str(tmp_path / "data")), ("fsync", str(tmp_path / "data" / "blobs"))} <= set(calls)


@pytest.mark.parametrize("module, step", [(os, "fsync"), (room, "renamed")])
def test_a_crash_at_any_step_leaves_no_blob_under_a_name_that_lies(blobs, monkeypatch, module, step):
    class PowerCut(BaseException):
        pass

    done = 0
    while True:
        count = 0

        def cut(*args, real=getattr(module, step)):
            nonlocal count
            count += 1
            if count > done:
                raise PowerCut
            return real(*args)

        with monkeypatch.context() as patched:
            patched.setattr(module, step, cut)
            writer = blobs.writer()
            writer.write(CONTENT)
            try:
                writer.keep()
            except PowerCut:
                pass
            else:
                break
        for path in files_below(blobs.folder):
            if path.parent != blobs.incoming:
                assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        done += 1
    assert done >= 1 and blobs.read(SHA256) == CONTENT


def test_what_was_left_half_written_is_swept_by_age(blobs):
    old, new = blobs.incoming / "old", blobs.incoming / "new"
    for path, age in ((old, 1000.0), (new, 5000.0)):
        path.write_bytes(b"half")
        os.utime(path, (age, age))
    assert blobs.sweep_incoming(2000.0) == 1
    assert files_below(blobs.folder) == [new]


def test_leaving_without_keeping_leaves_nothing(blobs):
    with blobs.writer() as writer:
        writer.write(CONTENT)
    assert files_below(blobs.folder) == []


def test_sixteen_senders_of_the_same_bytes_keep_them_once(blobs):
    with ThreadPoolExecutor(16) as pool:
        assert {kept.sha256 for kept in pool.map(lambda _: blobs.keep(CONTENT), range(64))} == {SHA256}
    assert files_below(blobs.folder) == [blobs.path(SHA256)]


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "/etc/passwd", "a" * 63, "g" * 64, "A" * 64, SHA256 + "\n", SHA256[:63] + "\0"])
def test_only_a_hash_is_a_name(blobs, name):
    for ask in (blobs.path, blobs.open, blobs.read):
        with pytest.raises(NotFound):
            ask(name)


def test_a_missing_blob_is_said_to_be_missing(blobs):
    with pytest.raises(NotFound) as refusal:
        blobs.read(SHA256)
    assert "缺失" in refusal.value.zh


def test_below_the_floor_nothing_is_begun(tmp_path):
    blobs = Blobs(tmp_path / "blobs", floor_mb=10**9)
    with pytest.raises(OutOfSpace):
        blobs.keep(CONTENT)
    assert files_below(blobs.folder) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_at_the_synchronisation_is_out_of_space_with_nothing_left(blobs, monkeypatch, number):
    def full(_handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfSpace):
        blobs.keep(CONTENT)
    monkeypatch.undo()
    assert files_below(blobs.folder) == []


def test_another_fault_of_the_disk_is_not_called_out_of_space(blobs, monkeypatch):
    def broken(_handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        blobs.keep(CONTENT)


def test_a_file_that_may_not_grow_is_out_of_space(tmp_path):
    """A real limit of the kernel, in a process of its own."""
    words = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path / "blobs")], capture_output=True, text=True, timeout=300)
    assert words.stdout.split() == ["out_of_space", "0"], words.stderr


LIMITED = """
import resource, signal, sys
from pathlib import Path
from hub.errors import OutOfSpace
from hub.storage.blobs import Blobs
from hub.storage.packing import packed_place
blobs = Blobs(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    blobs.keep(b"x" * 300_000)
except OutOfSpace as error:
    print(error.code)
print(sum(path.is_file() for path in blobs.folder.rglob("*")))
"""


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of 1 MB; skips where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_takes_nothing_by_half_and_goes_on_when_there_is_room(small_disk):
    blobs = Blobs(small_disk / "blobs")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 700_000)
    with pytest.raises(OutOfSpace):
        blobs.keep(os.urandom(600_000))
    assert files_below(blobs.folder) == []
    filler.unlink()
    content = os.urandom(600_000)
    assert blobs.read(blobs.keep(content).sha256) == content
