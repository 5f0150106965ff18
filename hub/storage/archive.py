"""Backup and restore: one tar of rows, files and keys that fits SQLite and PostgreSQL alike.

Rows are read in one consistent look, files after them: whatever a row names was safe before the row was.
The same archive moves a county from SQLite to PostgreSQL.
"""
from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, func, insert, select, text

from hub.errors import Invalid
from hub.storage import database, migration, packing
from hub.storage.blobs import Blobs, kept_below
from hub.storage.disk import sync_folder
from hub.storage.moment import Moment
from hub.storage.tables import audit_head, metadata

FORMAT = 1
BATCH = 500
KEPT_FILES = ("keys", "demo.json")
Progress = Callable[[int, int], None]


def write(engine: Engine, folder: Path, file: Path, progress: Progress) -> int:
    """Writes the archive and returns how many blobs it holds. ``file`` appears only when it is whole."""
    part = file.with_name(file.name + ".part")
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                counts = {}
                for table in metadata.sorted_tables:
                    lines = [_to_json(table, row) for row in connection.execute(select(table))]
                    counts[table.name] = len(lines)
                    _add(tar, f"rows/{table.name}.jsonl", "\n".join(lines).encode())
        blobs = kept_below(folder / "blobs")
        about = {"format": FORMAT, "schema": migration.current(engine)[0], "rows": counts, "blobs": len(blobs)}
        _add(tar, "about.json", json.dumps(about).encode())
        for name in KEPT_FILES:
            if (folder / name).exists():
                tar.add(folder / name, f"files/{name}")
        for done, path in enumerate(blobs, 1):
            if not path.exists():                              # packed since it was listed
                path = path.with_name(f"{path.name}{packing.SUFFIX}")
            tar.add(path, f"blobs/{path.name}")
            progress(done, len(blobs))
    with part.open("rb") as whole:
        os.fsync(whole.fileno())
    part.replace(file)
    sync_folder(file.absolute().parent)
    return len(blobs)


def read(engine: Engine, folder: Path, file: Path, progress: Progress) -> int:
    """Brings an archive back into a hub without rows; returns how many blobs it held. Invalid, and nothing
    entered, when the hub is in use, the archive is of another schema, or a file does not match its hash."""
    with database.reading(engine) as connection:
        used = any(connection.scalar(select(func.count()).select_from(table))
                   for table in metadata.sorted_tables if table is not audit_head)
    if used:
        raise Invalid("not_empty", "恢复需要一个空的诊断中心（data_dir 与数据库均为空）。", "restore needs an empty hub: another data_dir or database.")
    try:
        with tarfile.open(file) as tar:
            return _restore(engine, folder, tar, progress)
    except (tarfile.TarError, KeyError, ValueError, EOFError) as error:
        raise Invalid("bad_archive", "备份文件损坏或不完整，未恢复。", f"the archive is damaged; nothing was restored: {error}") from None


def _restore(engine: Engine, folder: Path, tar: tarfile.TarFile, progress: Progress) -> int:
    """Everything is checked before the first key or row: blobs come first, for a blob without a row does no harm."""
    members = [member for member in tar.getmembers() if member.isfile()]
    contents = {member.name: tar.extractfile(member).read() for member in members if not member.name.startswith("blobs/")}
    about = json.loads(contents["about.json"])
    if about["format"] != FORMAT or about["schema"] != migration.current(engine)[0]:
        raise Invalid("other_schema", "备份来自另一版本，请用同版本程序恢复后再升级。", "the archive is of another schema: restore it with the version that wrote it, then upgrade.")
    rows = {table: [_from_json(table, line) for line in contents[f"rows/{table.name}.jsonl"].decode().splitlines()]
            for table in metadata.sorted_tables}
    kept_files = {name.removeprefix("files/"): content for name, content in contents.items() if name.startswith("files/")}
    if not all(_may_be_put(name) for name in kept_files) or any(len(rows[t]) != about["rows"][t.name] for t in rows):
        raise KeyError("unexpected content")
    in_archive = [member for member in members if member.name.startswith("blobs/")]
    if len(in_archive) != about["blobs"]:
        raise KeyError("files are missing")
    _restore_blobs(Blobs(folder / "blobs"), tar, in_archive, progress)
    with database.writing(engine) as connection:
        connection.execute(audit_head.delete())
        for table, of_table in rows.items():
            for batch in _batches(of_table):
                connection.execute(insert(table), batch)
            if connection.dialect.name == "postgresql" and "id" in table.c and table is not audit_head:
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "
                                        f"GREATEST((SELECT MAX(id) FROM {table.name}), 1), (SELECT COUNT(*) > 0 FROM {table.name}))"))
        for name, content in kept_files.items():
            _put(folder / name, content)
    return len(in_archive)


def _restore_blobs(blobs: Blobs, tar: tarfile.TarFile, members: list[tarfile.TarInfo], progress: Progress) -> None:
    for done, member in enumerate(members, 1):
        name = member.name.removeprefix("blobs/")
        with tar.extractfile(member) as content:
            if name.endswith(packing.SUFFIX):
                is_whole = packing.place(blobs, name.removesuffix(packing.SUFFIX), content)
            else:
                is_whole = _restore_blob(blobs, name, content)
        if not is_whole:
            raise Invalid("bad_archive", f"备份中的文件 {name[:12]} 与其校验值不符，未恢复。", f"the file {name[:12]} does not match its hash; nothing was restored.")
        progress(done, len(members))


def _restore_blob(blobs: Blobs, name: str, content) -> bool:
    """Keeps one file, unless it does not match its hash."""
    with blobs.writer() as writer:
        while chunk := content.read(1 << 20):
            writer.write(chunk)
        if writer.sha256 != name:
            return False
        writer.keep()
    return True


def _may_be_put(name: str) -> bool:
    """Only the files that an archive is meant to hold, and never outside the data folder."""
    parts = name.split("/")
    return parts[0] in KEPT_FILES and all(part not in ("", ".", "..") for part in parts)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        output.write(content)


def _to_json(table, row) -> str:
    return json.dumps({c.name: v.isoformat() if isinstance(v, datetime) else v for c, v in zip(table.c, row)}, ensure_ascii=False)


def _from_json(table, line: str) -> dict:
    values = json.loads(line)
    for column in table.c:
        if isinstance(column.type, Moment) and values[column.name] is not None:
            values[column.name] = datetime.fromisoformat(values[column.name])
    return values


def _batches(rows: list) -> Iterator[list]:
    for start in range(0, len(rows), BATCH):
        yield rows[start:start + BATCH]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
