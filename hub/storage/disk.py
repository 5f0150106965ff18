"""What the disk must keep."""
from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path


def sync_folder(folder: str | Path) -> None:
    """Brings a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_libc = ctypes.CDLL(None, use_errno=True)
_SYNC_FILE_RANGE_WRITE = 2
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
_NOT_HERE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)      # of a kernel or file system that cannot rename without replacing


def begin_to_write(handle: int) -> None:
    """Has the system send a file's bytes to the disk without waiting for it, so that the disk works while they are hashed, and on
    several files while the first is waited for. A hint (Linux): only ``fsync`` tells that they are there."""
    try:
        _libc.sync_file_range(handle, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)
    except AttributeError:
        pass


def renamed(source: str, target: str) -> bool:
    """Renames where ``target`` is free, and tells whether it was; False too where the system cannot do so safely."""
    try:
        rename = _libc.renameat2
    except AttributeError:
        return False
    if rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST or number in _NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), source)
