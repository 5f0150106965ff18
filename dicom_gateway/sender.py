"""C-STORE as a user (PS3.4 B.3.1): files as they are, no byte of a data set changed."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import _config, build_context
from pynetdicom.association import Association

from dicom_gateway.requesting import association, no_association
from hub.errors import Permanent, Retryable

MOST_CONTEXTS = 128   # PS3.8 9.3.2.2: odd context IDs from 1 to 255


def store(files: list[Path], host: str, port: int, *, called: str, calling: str) -> Iterator[tuple[Path, str]]:
    """Sends files over one association after another and yields each with "" or why it was refused."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    remaining = list(files)
    while remaining:
        batch, needed = [], set()
        for path in remaining:
            kind = _context_of(path)
            if kind is not None and len(needed | {kind}) > MOST_CONTEXTS:
                break
            batch.append((path, kind))
            needed |= {kind} if kind else set()
        remaining = remaining[len(batch):]
        yield from _send(batch, needed, host, port, called, calling)


def store_dataset(dataset, host: str, port: int, *, called: str, calling: str, tls_args: tuple | None = None) -> None:
    """Sends one data set with its file meta information, over TLS with ``tls_args`` (dicom_gateway.tls). Retryable or
    Permanent when it was not stored."""
    line = association(calling, called, host, port, build_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID), tls_args=tls_args)
    if not line.is_established:
        raise no_association(called, host, port)
    try:
        status = line.send_c_store(dataset)
    except ValueError as error:
        raise Permanent("not_accepted", f"{called} 不接受此类对象。", f"{called} does not accept this object: {error}") from error
    finally:
        if line.is_established:
            line.release()
    code = status.get("Status")
    if code is None or code & 0xFF00 == 0xA700 or code == 0x0122:
        raise Retryable("not_stored", f"{called} 暂时无法保存。", f"{called} answered {_words(status)}.")
    if code != 0x0000 and code & 0xF000 != 0xB000:
        raise Permanent("refused", f"{called} 拒收（{_words(status)}）。", f"{called} refused it with {_words(status)}.")


def _send(batch, needed, host, port, called, calling) -> Iterator[tuple[Path, str]]:
    line = association(calling, called, host, port, *(build_context(*kind) for kind in sorted(needed))) if needed else None
    try:
        for path, kind in batch:
            if kind is None:
                yield path, "not a readable DICOM file"
            elif not line.is_established:
                yield path, f"no association with {called} at {host}:{port}"
            else:
                yield path, _store_one(line, path)
    finally:
        if line is not None and line.is_established:
            line.release()


def _store_one(line: Association, path: Path) -> str:
    try:
        status = line.send_c_store(path)
    except (ValueError, RuntimeError, AttributeError) as error:
        return str(error)
    code = status.get("Status")
    return "" if code is not None and (code == 0 or code & 0xF000 == 0xB000) else _words(status)


def _words(status) -> str:
    if "Status" not in status:
        return "no answer"
    return f"status 0x{status.Status:04X} {status.get('ErrorComment', '')}".strip()


def _context_of(path: Path) -> tuple[UID, UID] | None:
    try:
        meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
        named = meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID
        return named if all(named) and meta.MediaStorageSOPInstanceUID else None
    except (InvalidDicomError, AttributeError, OSError, EOFError, ValueError):
        return None
