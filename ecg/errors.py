"""The one way in which an ECG file is refused."""


class UnreadableRecording(ValueError):
    """An ECG file that cannot be read, and what was wrong with it.

    ``code`` is a short stable name (``truncated``, ``no_rate``, ``not_recognised``, ``hostile`` ...);
    ``zh`` and ``en`` say what was wrong and what to do, without repeating what the file contains.
    Trying again with the same bytes cannot help.
    """

    def __init__(self, code: str, zh: str, en: str):
        super().__init__(f"{code}: {en}")
        self.code = code
        self.zh = zh
        self.en = en
