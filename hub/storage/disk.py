"""What the disk must keep, and how a full one is named."""
from __future__ import annotations

import errno
import os
from pathlib import Path

from hub.errors import OutOfSpace

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sync_folder(folder: str | Path) -> None:
    """Brings a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def out_of_space() -> OutOfSpace:
    return OutOfSpace("out_of_space", "磁盘空间不足，未接收任何内容。请联系管理员清理磁盘后重新发送。",
                      "no disk space: nothing was taken in. Ask the administrator to free space, then send again.")


def translated(error: OSError) -> Exception:
    """OutOfSpace for a full disk, else the fault itself."""
    return out_of_space() if error.errno in _NO_ROOM else error
