"""From the files that arrived to a recording: one archive is opened safely, the content names its reader.

Extensions and names decide nothing. What cannot be read is refused with the reason, in words for the
sender; bytes are never changed. Memory stays bounded by ``MAX_UPLOAD_BYTES`` and the readers' own bounds.
"""
from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import PurePosixPath
from types import ModuleType

from ecg.errors import UnreadableRecording
from ecg.readers import READERS, csv
from ecg.readers.given import MAX_FILE_BYTES, check_size
from ecg.recording import Recording, SourceFile

HEAD_BYTES = 4096
MAX_FILES = 64                             # of one recording; a WFDB record has two, PTB has three
MAX_UPLOAD_BYTES = 128 * 1024 * 1024       # all files of one recording, after unpacking
_MAX_DIRECTORY_BYTES = 64 * 1024           # of an archive: room for MAX_FILES entries many times over
_IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def open_recording(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The recording in these files (or in the one zip archive among them), in microvolts.

    ``declared``: what the sender says about formats that do not say it themselves (CSV: ``rate_hz``,
    ``unit``, ``leads``). UnreadableRecording: ``no_files``, ``not_recognised``, ``several_recordings``,
    ``too_large``, ``too_many_files``, ``nested_archive``, ``encrypted``, ``damaged_archive``, or what the
    reader found wrong.
    """
    files = _unpacked(files)
    reader, ordered = _chosen(files)
    return reader.read(ordered, declared)


def recognise(files: Sequence[SourceFile]) -> str:
    """The name of the format of these files; refuses as ``open_recording`` does, without reading samples."""
    return _chosen(_unpacked(files))[0].NAME


def _chosen(files: Sequence[SourceFile]) -> tuple[ModuleType, list[SourceFile]]:
    """The one reader that knows these files, and the files with those it recognised first."""
    matches = {reader: [file for file in files if reader.sniff(file.content[:HEAD_BYTES], file.name)] for reader in READERS}
    known = [reader for reader in READERS if matches[reader]]
    if len(known) > 1 and csv in known:      # a table beside a recording is its measurements
        known.remove(csv)
    if not known:
        names = "、".join(reader.NAME for reader in READERS)
        raise UnreadableRecording("not_recognised", f"无法识别的心电文件。支持的格式：{names}。请确认导出设置，WFDB 需连同 .hea 一并发送。",
                                  f"Not a known ECG file. Known formats: {names.replace('、', ', ')}. A WFDB record needs its .hea file.")
    if len(known) > 1:
        names = ", ".join(reader.NAME for reader in known)
        raise UnreadableRecording("several_recordings", f"一次收到多种格式的心电文件（{names}），请逐份发送。",
                                  f"Files of several formats came at once ({names}); please send one recording at a time.")
    matched = matches[known[0]]
    return known[0], matched + [file for file in files if file not in matched]


def _unpacked(files: Sequence[SourceFile]) -> list[SourceFile]:
    if not files or not any(file.content for file in files):
        raise UnreadableRecording("no_files", "没有收到文件，或文件为空。", "No file came, or it was empty.")
    if len(files) > MAX_FILES:
        raise _too_many()
    for file in files:
        check_size(file)
    if any(_is_archive(file.content) for file in files):
        if len(files) > 1:
            raise _nested()
        files = _entries(files[0])
    if sum(len(file.content) for file in files) > MAX_UPLOAD_BYTES:
        raise _too_large()
    return list(files)


def _entries(archive: SourceFile) -> list[SourceFile]:
    """The files of a zip archive by their last names; sizes are counted while unpacking, never believed."""
    _check_directory(archive.content)
    found: list[SourceFile] = []
    room = MAX_UPLOAD_BYTES
    try:
        with zipfile.ZipFile(BytesIO(archive.content)) as opened:
            for entry in opened.infolist():
                if entry.is_dir() or any(word in entry.filename for word in _IGNORED):
                    continue
                if entry.flag_bits & 0x1:
                    raise UnreadableRecording("encrypted", "压缩包已加密，请发送未加密的文件。", "The archive is encrypted; please send it without a password.")
                if len(found) == MAX_FILES:
                    raise _too_many()
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise NotImplementedError
                with opened.open(entry) as stream:
                    content = stream.read(min(room, MAX_FILE_BYTES) + 1)
                room -= len(content)
                if room < 0 or len(content) > MAX_FILE_BYTES:
                    raise _too_large()
                if _is_archive(content):
                    raise _nested()
                found.append(SourceFile(PurePosixPath(entry.filename.replace("\\", "/")).name, content))
    except UnreadableRecording:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
            LookupError, OverflowError, MemoryError):
        raise UnreadableRecording("damaged_archive", "压缩包已损坏或使用了不支持的压缩方式，请重新打包（zip）发送。",
                                  "The archive is damaged or packed in an unknown way; please pack it again as zip.") from None
    if not found:
        raise UnreadableRecording("no_files", "压缩包是空的。", "The archive is empty.")
    return found


def _is_archive(content: bytes) -> bool:
    return content[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def _check_directory(content: bytes) -> None:
    """Refuses an archive whose directory alone would fill memory, before it is parsed (APPNOTE 4.3.16)."""
    at = content.rfind(b"PK\x05\x06")
    if at < 0 or len(content) < at + 22:
        raise UnreadableRecording("truncated", "压缩包不完整（可能传输中断），请重新发送。",
                                  "The archive is incomplete, perhaps the transfer broke off; please send it again.")
    directory_bytes = int.from_bytes(content[at + 12:at + 16], "little")
    if directory_bytes > _MAX_DIRECTORY_BYTES or content[max(0, at - 20):at].startswith(b"PK\x06\x07"):
        raise _too_many()


def _too_many() -> UnreadableRecording:
    return UnreadableRecording("too_many_files", f"一次最多 {MAX_FILES} 个文件，请逐份发送。",
                               f"At most {MAX_FILES} files at once; please send one recording at a time.")


def _too_large() -> UnreadableRecording:
    return UnreadableRecording("too_large", f"解压后超过上限（单个文件 {MAX_FILE_BYTES // 2**20} MB），请截取需要诊断的部分后重发。",
                               f"Unpacked it is larger than allowed ({MAX_FILE_BYTES // 2**20} MB a file); send the part to be read.")


def _nested() -> UnreadableRecording:
    return UnreadableRecording("nested_archive", "请只发送一个压缩包，且其中不要再含压缩包。", "Send a single archive that holds no other archive.")
