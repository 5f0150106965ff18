"""What a fault of the database is called to whoever asked, and whether trying again helps."""
from __future__ import annotations

from sqlalchemy.exc import DataError, OperationalError

from hub.errors import Invalid, OutOfSpace, Retryable


def named(error: OperationalError | DataError) -> Exception:
    if isinstance(error, DataError):
        return Invalid("bad_text", "内容过长或含有无法保存的字符，未保存。", "the text is too long or holds characters that cannot be kept; not saved.")
    text = str(error.orig).lower()
    if "full" in text or "no space" in text or "disk i/o" in text:
        return OutOfSpace("out_of_space", "磁盘空间不足，本次内容未保存，请联系管理员清理后重试。",
                          "no disk space: nothing was saved. Ask the administrator to free space, then try again.")
    if any(words in text for words in ("locked", "lock timeout", "deadlock", "connection", "server closed")):
        return Retryable("database_busy", "数据库暂时忙，请稍后重试，内容未丢失。",
                         "the database is busy; try again in a moment, nothing was lost.")
    return error
