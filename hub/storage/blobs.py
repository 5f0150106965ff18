"""Bytes on disk, named by their SHA-256. What ``keep`` has returned would survive a power cut.

A blob is written beside its place, synchronised, renamed into it, and its folder is synchronised. Nothing
here ever changes a blob. A name that is asked for must be a hash, so no path can be smuggled in.
"""
from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO

from hub.errors import NotFound, OutOfSpace
from hub.model.arrival import StoredFile

_HASH = re.compile(r"[0-9a-f]{64}")
PIECE = 1 << 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def out_of_space() -> OutOfSpace:
    return OutOfSpace("out_of_space", "磁盘空间不足，未接收任何内容。请联系管理员清理磁盘后重新发送。",
                      "no disk space: nothing was taken in. Ask the administrator to free space, then send again.")


class Blobs:
    """The store below ``folder``; refuses new bytes when less than ``floor_mb`` megabytes are free."""

    def __init__(self, folder: Path, floor_mb: int = 0):
        self.folder = Path(folder)
        self.incoming = self.folder / "incoming"
        self.floor = floor_mb * 1_000_000
        for folder in _make_folder(self.incoming, Path(self.folder.anchor)):
            sync_folder(folder)
        self._lasting: set[Path] = set()      # folders whose own entry is known to be on disk

    def writer(self, name: str = "") -> BlobWriter:
        """A new blob to stream into. Raises OutOfSpace below the floor."""
        self.check_room()
        return BlobWriter(self, name)

    def check_room(self) -> None:
        """Raises OutOfSpace when the disk has less free than the floor."""
        if self.floor and shutil.disk_usage(self.folder).free < self.floor:
            raise out_of_space()

    def keep(self, content: bytes, name: str = "") -> StoredFile:
        """Stores ``content`` and returns its name, hash and size; the same bytes are kept once."""
        with self.writer(name) as writer:
            writer.write(content)
            return writer.keep()

    def path(self, sha256: str) -> Path:
        """Where a blob lies, whether it exists or not."""
        if not _HASH.fullmatch(sha256):
            raise NotFound("no_blob", "没有这个文件。", "no such file.")
        return self.folder / sha256[:2] / sha256[2:4] / sha256

    def open(self, sha256: str) -> BinaryIO:
        """The blob, open for reading. NotFound if it is missing."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise NotFound("no_blob", "原始文件缺失，请联系管理员。", f"the file {sha256[:12]} is missing; tell the administrator.") from None

    def read(self, sha256: str) -> bytes:
        with self.open(sha256) as file:
            return file.read()

    def fixity(self, sha256: str) -> tuple[str, int]:
        """Hashes a blob again: ("intact", "changed" or "missing", bytes that were read). A file that the disk cannot
        give back is "changed"."""
        counted, size = hashlib.sha256(), 0
        try:
            with self.path(sha256).open("rb", buffering=0) as file:
                while piece := file.read(PIECE):
                    counted.update(piece)
                    size += len(piece)
        except FileNotFoundError:
            return "missing", 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return "changed", size
        return "intact" if counted.hexdigest() == sha256 else "changed", size

    def make_lasting(self, folder: Path) -> None:
        """Makes a folder whose entry survives a power cut, whoever else is making it at this moment."""
        if folder not in self._lasting:
            folder.mkdir(parents=True, exist_ok=True)
            for parent in (folder.parent, self.folder):
                sync_folder(parent)
            self._lasting.add(folder)

    def sweep_incoming(self, older_than: float) -> int:
        """Removes half-written files last touched before ``older_than`` (seconds since 1970), returns how many."""
        removed = 0
        for path in self.incoming.iterdir():
            try:
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed


class BlobWriter:
    """A blob on its way in. ``keep`` makes it last; leaving the block without it leaves nothing behind."""

    def __init__(self, blobs: Blobs, name: str):
        self._blobs, self._name = blobs, name
        self.path = blobs.incoming / uuid.uuid4().hex
        self._hash, self.size = hashlib.sha256(), 0
        try:
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise _translated(error) from error

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_):
        self.discard()

    def write(self, chunk) -> None:
        """Adds bytes; raises OutOfSpace when the disk is full."""
        view = memoryview(chunk).cast("B")
        self._hash.update(view)
        self.size += len(view)
        try:
            while view:
                view = view[self._file.write(view):]
        except OSError as error:
            raise _translated(error) from error

    @property
    def sha256(self) -> str:
        """The hash of what was written so far."""
        return self._hash.hexdigest()

    def keep(self) -> StoredFile:
        """Bytes, then name, then folder to disk. Afterwards the blob survives a power cut."""
        sha256 = self.sha256
        place = self._blobs.path(sha256)
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self._blobs.make_lasting(place.parent)
            os.replace(self.path, place)
            sync_folder(place.parent)
        except OSError as error:
            raise _translated(error) from error
        return StoredFile(self._name, sha256, self.size)

    def discard(self) -> None:
        """Forgets what was written, unless it was kept."""
        if not self._file.closed:
            self._file.close()
        self.path.unlink(missing_ok=True)


def _make_folder(folder: Path, top: Path) -> list[Path]:
    """Makes the folders down to ``folder`` and returns the parents whose entries are new."""
    changed, missing = [], folder
    while missing != top and not missing.is_dir():
        changed.append(missing.parent)
        missing = missing.parent
    folder.mkdir(parents=True, exist_ok=True)
    return changed


def sync_folder(folder: Path) -> None:
    """Brings a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _translated(error: OSError) -> Exception:
    return out_of_space() if error.errno in _NO_ROOM else error
