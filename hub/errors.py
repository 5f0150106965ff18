"""Every way in which the hub says no: a stable code, Chinese and English, and whether trying again helps."""
import errno

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class HubError(Exception):
    """``code`` is stable and greppable; ``zh`` and ``en`` say what was wrong and what to do."""

    def __init__(self, code: str, zh: str, en: str):
        super().__init__(f"{code}: {en}")
        self.code = code
        self.zh = zh
        self.en = en


class Permanent(HubError):
    """The same request will be refused again: something must be changed first."""


class Retryable(HubError):
    """The same request may succeed later: nothing was lost, try again."""


class Refused(Permanent):
    """The person or device may not do this."""


class NotFound(Permanent):
    """No such thing, or none that this person may see: the two are not told apart."""


class Gone(NotFound):
    """It was here and was removed by rule; what is said names when and why."""


class Conflict(Permanent):
    """Somebody else was first: look at the present state and decide again."""


class Invalid(Permanent):
    """What was sent cannot be understood; it says which part."""


class OutOfSpace(Retryable):
    """No room to store safely; nothing was half-written."""


def out_of_space() -> OutOfSpace:
    """The one wording of a full disk, whichever door meets it."""
    return OutOfSpace("out_of_space", "磁盘空间不足，未接收任何内容。请联系管理员清理磁盘后重新发送。",
                      "no disk space: nothing was taken in. Ask the administrator to free space, then send again.")


def translated(error: OSError) -> Exception:
    """OutOfSpace for a full disk, else the fault itself."""
    return out_of_space() if error.errno in _NO_ROOM else error


def words_of(error: Exception) -> str:
    """What a person later reads of a failure that was kept: both languages where the error has them."""
    return f"{error.zh} {error}" if isinstance(error, HubError) else str(error) or type(error).__name__
