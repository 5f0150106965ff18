"""Why a device's file is refused: one table of codes with the words in Chinese and English.

Every reader of a device format raises through :func:`refuse`, so that the same fault always has the same
code and the same advice, and so that no refusal repeats what the file contains.
"""
from __future__ import annotations

from ecg.errors import UnreadableRecording

#: Samples over all leads that a reader is willing to hold (24 hours of three leads at 200 Hz fit).
MOST_SAMPLES = 60_000_000
#: Leads that a reader is willing to hold.
MOST_LEADS = 255

_WORDS = {
    "empty": ("文件是空的，请重新导出后再发送。", "the file is empty; export it again and resend"),
    "truncated": ("文件不完整，声明的内容超出文件末尾，请重新导出后再发送。",
                  "the file ends before what it declares; export it again and resend"),
    "not_recognised": ("文件内容不是所选的心电格式，请检查文件来源。",
                       "the content is not of this ECG format; check where the file came from"),
    "damaged": ("文件内部自相矛盾，可能在传输中损坏，请重新导出后再发送。",
                "the file contradicts itself and may have been damaged; export it again and resend"),
    "hostile": ("文件声明的规模不合理，为安全起见未读取，请联系设备厂家。",
                "the file declares an unreasonable size and was not read; ask the maker of the device"),
    "unsupported": ("该文件使用了此格式中尚不支持的编码方式，请改用其他导出选项。",
                    "the file uses an encoding of this format that is not supported; choose another export"),
    "no_leads": ("文件没有导联定义，请重新导出后再发送。", "the file defines no lead; export it again and resend"),
    "no_samples": ("文件没有心电波形，请选择包含波形的导出选项。",
                   "the file holds no waveform; choose an export option that includes it"),
    "no_rate": ("文件没有采样率，无法读取波形，请重新导出后再发送。",
                "the file states no sampling rate, so its waveform cannot be read; export it again"),
    "no_scale": ("文件没有幅度单位，无法读取波形，请重新导出后再发送。",
                 "the file states no amplitude scale, so its waveform cannot be read; export it again"),
    "bad_xml": ("XML 内容不合规范，请重新导出后再发送。", "the XML is not well formed; export it again and resend"),
    "mixed_rates": ("各导联采样率不同，尚不支持，请改用统一采样率导出。",
                    "the leads have different sampling rates, which is not supported; export with one rate"),
}


def refuse(code: str) -> UnreadableRecording:
    """The refusal named ``code``, to be raised by the caller. KeyError for a code that is not in the table."""
    zh, en = _WORDS[code]
    return UnreadableRecording(code, zh, en)


def check_size(leads: int, samples: int, most_samples: int = MOST_SAMPLES) -> None:
    """Refuse a recording of unreasonable size before memory is taken for it.

    ``leads``: number of rows; ``samples``: samples of each row; ``most_samples``: allowed over all rows.
    """
    if leads < 1:
        raise refuse("no_leads")
    if samples < 1:
        raise refuse("no_samples")
    if leads > MOST_LEADS or leads * samples > most_samples:
        raise refuse("hostile")
