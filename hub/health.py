"""Whether this hub can do its work right now: database, files, Redis. No word of patients."""
from __future__ import annotations

import shutil

from sqlalchemy import text

from hub.context import Hub
from hub.errors import HubError
from hub.queue import redis
from hub.storage import redo


def check(hub: Hub) -> dict[str, str]:
    """One word for each part: "ok", or what is wrong. Redis away is said, but is no reason to shut the doors."""
    return {"database": _database(hub), "files": _files(hub), "redis": "ok" if redis.answers(hub.settings) else "away"}


def can_serve(parts: dict[str, str]) -> bool:
    """Whether doors and pages can work."""
    return parts["database"] == "ok"


def _database(hub: Hub) -> str:
    try:
        with hub.reading() as connection:
            connection.execute(text("SELECT 1"))
    except HubError as error:
        return error.code
    return "ok"


def _files(hub: Hub) -> str:
    free = space(hub)[0]
    if free <= hub.settings.free_space_floor_mb * 1_000_000:
        return "out_of_space"
    if redo.is_overdue(hub.blobs):
        return "disk_failing"
    return "ok" if free > hub.settings.free_space_warning_mb * 1_000_000 else "low_space"


def space(hub: Hub) -> tuple[int, int]:
    """Bytes free and in all of the disk that holds the files."""
    disk = shutil.disk_usage(hub.settings.folder)
    return disk.free, disk.total
