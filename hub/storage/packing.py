"""Blobs that need less room: a packed file in the place of an original gives the same bytes back, under the same hash.

The promise: an original goes only when its packed form is on disk, was read back, unpacked and found to have the hash
that is its name. Whoever asks for a blob gets its own bytes and does not notice; they are unpacked into a folder of
their own, which a sweep empties. A kill at any step leaves the original, the packed form, or both.
"""
from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from hub.errors import HubError, Invalid, NotFound, translated
from hub.storage.disk import sync_folder

PACKERS = {"dicom": "dicom_gateway.packing"}       # format of an instance: module with pack and unpack (docs/decisions/0002)
SUFFIX = ".packed"
BUSY_S = 60             # a copy that was asked for within that time may just be read


@dataclass(frozen=True)
class Packed:
    """Bytes of an original and of its packed form."""

    size: int
    packed_size: int


def pack(blobs, sha256: str, kind: str) -> Packed:
    """Puts a packed form beside a blob, proved and on disk; the original stays. Safe to repeat. Invalid, with the reason,
    for one that is left as it came."""
    if kind not in PACKERS:
        raise Invalid("no_packer", "未压缩归档：没有适合这种格式的方法。", "not packed: there is no way to pack this format.")
    original = blobs.original(sha256)
    if original is None:
        raise NotFound("no_blob", "原始文件缺失，请联系管理员。", f"the file {sha256[:12]} is missing; tell the administrator.")

    def write(target: BinaryIO) -> None:
        import_module(PACKERS[kind]).pack(original, target)

    if not _placed(blobs, sha256, write):
        raise Invalid("not_reproduced", "未压缩归档：还原的内容与原始文件不一致。", "not packed: unpacked it would not be the same bytes.")
    return Packed(original.stat().st_size, packed_place(blobs.folder, sha256).stat().st_size)


def place(blobs, sha256: str, content: BinaryIO) -> bool:
    """Keeps a packed form that comes from a backup; False, and nothing kept, where it does not give the bytes of this hash."""
    return _placed(blobs, sha256, lambda target: shutil.copyfileobj(content, target))


def _placed(blobs, sha256: str, write: Callable[[BinaryIO], None]) -> bool:
    """The packed form to disk and proved, then under its name."""
    made, place = Path(blobs.new_name()), packed_place(blobs.folder, sha256)
    try:
        with made.open("wb") as target:
            write(target)
            target.flush()
            os.fsync(target.fileno())
        if hash_of(made) != sha256:
            return False
        blobs.shelf(sha256)
        os.replace(made, place)
        sync_folder(place.parent)
    except OSError as error:
        raise translated(error) from error
    finally:
        made.unlink(missing_ok=True)
    return True


def drop_original(blobs, sha256: str) -> None:
    """The original goes, after its packed form was proved once more. NotFound where that does not hold; nothing is lost."""
    place = packed_place(blobs.folder, sha256)
    if not place.exists() or hash_of(place) != sha256:
        raise NotFound("no_packed", "归档文件缺失或损坏，原始文件已保留。", "the packed form is missing or damaged; the original stays.")
    if (original := blobs.original(sha256)) is not None:
        original.unlink()
        sync_folder(original.parent)


def doubled(folder: Path) -> Iterator[str]:
    """The hashes of which the store in ``folder`` holds an original beside its packed form."""
    for shelf in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        names = set(os.listdir(shelf))
        yield from sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in names)


def packed_place(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / f"{sha256}{SUFFIX}"


def unpacked(blobs, sha256: str) -> Path:
    """The own bytes of a packed blob, as a file that lasts for a while. NotFound where they cannot be had."""
    kept = blobs.unpacked / sha256
    try:
        os.utime(kept)
        return kept
    except FileNotFoundError:
        pass
    if blobs.is_tight():                           # copies may not crowd out what arrives
        blobs.sweep_unpacked(time.time() - BUSY_S)
    made, counted = Path(blobs.new_name()), hashlib.sha256()
    try:
        with made.open("wb") as target:
            for piece in _pieces(packed_place(blobs.folder, sha256)):
                counted.update(piece)
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        if counted.hexdigest() != sha256:
            raise NotFound("damaged_blob", "归档文件已损坏，请联系管理员。", f"the packed file {sha256[:12]} is damaged; tell the administrator.")
        os.replace(made, kept)
    except OSError as error:
        raise translated(error) from error
    finally:
        made.unlink(missing_ok=True)
    return kept


def hash_of(place: Path) -> str:
    """The hash of what a packed file gives; "" where it cannot be unpacked."""
    counted = hashlib.sha256()
    try:
        for piece in _pieces(place):
            counted.update(piece)
    except HubError:
        return ""
    return counted.hexdigest()


def _pieces(place: Path) -> Iterator[bytes]:
    with place.open("rb") as file:
        try:
            yield from import_module(PACKERS["dicom"]).unpack(file)
        except OSError:
            raise
        except Exception as error:                 # a codec on damaged bytes raises a dozen kinds
            raise NotFound("damaged_blob", "归档文件已损坏，请联系管理员。", f"a packed file cannot be unpacked ({type(error).__name__}); tell the administrator.") from error
