"""What a reader may be given, and how much of it: the bounds every reader keeps, stated once.

A resting ECG is about 0.3 MB and a 24-hour three-lead Holter about 40 MB, so the bounds leave room for
what is real and none for a file made to exhaust the machine. Measured at the bounds: 0.74 GB
(EDF of 62 MB, 32 million samples); a resting ECG needs a few MB.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

from ecg.errors import UnreadableRecording
from ecg.recording import SourceFile

MAX_FILE_BYTES = 64 * 1024 * 1024      # one file
MAX_XML_BYTES = 32 * 1024 * 1024       # one XML file: its tree is many times its size
MAX_VALUES = 32 * 1024 * 1024          # samples times leads: 256 MB as float64
MAX_LEADS = 64
MIN_RATE_HZ = 20.0                     # below this no QRS complex can be seen: a wrong unit, not an ECG
MAX_RATE_HZ = 100_000.0


def the_one(files: Sequence[SourceFile], sniff: Callable[..., bool], format_name: str) -> SourceFile:
    """The only file of this format among those given; others (a printed report beside it) are left alone.

    UnreadableRecording: ``not_recognised``, ``several_recordings`` or ``too_large``.
    """
    matching = [file for file in files if sniff(file.content[:4096], file.name)]
    if not matching:
        raise UnreadableRecording("not_recognised", f"文件不是 {format_name} 格式，请确认导出格式。",
                                  f"This is not a {format_name} file; please check how it was exported.")
    if len(matching) > 1:
        raise UnreadableRecording("several_recordings", f"一次收到 {len(matching)} 份 {format_name} 心电图，请逐份发送。",
                                  f"{len(matching)} {format_name} recordings came at once; please send them one by one.")
    check_size(matching[0])
    return matching[0]


def check_size(file: SourceFile, limit: int = MAX_FILE_BYTES) -> None:
    if len(file.content) > limit:
        raise UnreadableRecording("too_large", f"文件超过 {limit // 2**20} MB，请截取需要诊断的部分后重发。",
                                  f"The file is larger than {limit // 2**20} MB; please send the part to be read.")


def check_values(leads: int, samples: int) -> None:
    """Refuses, before any array is made, what would not fit: ``too_large``, ``no_leads``, ``no_samples``."""
    if leads < 1:
        raise UnreadableRecording("no_leads", "文件中没有心电导联，请重新导出。",
                                  "The file holds no ECG lead; please export it again.")
    if leads > MAX_LEADS or leads * samples > MAX_VALUES:
        raise UnreadableRecording("too_large", "心电数据过长或导联过多，请截取需要诊断的部分后重发。",
                                  "The recording is too long or has too many leads; please send the part to be read.")
    if samples < 1:
        raise UnreadableRecording("no_samples", "文件中没有心电采样数据，请重新导出。",
                                  "The file holds no samples; please export it again.")


def check_rate(rate_hz: float) -> float:
    """The rate, if an ECG can have it (20 Hz to 100 kHz); ``no_rate`` otherwise. Never a default."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:      # also false for NaN
        raise UnreadableRecording("no_rate", "文件没有给出可信的采样率，无法确定时间轴，请重新导出。",
                                  "The file states no believable sampling rate, so its time axis is unknown.")
    return rate_hz


def truncated() -> UnreadableRecording:
    return UnreadableRecording("truncated", "文件不完整（可能传输中断），请重新发送。",
                               "The file is incomplete, perhaps the transfer broke off; please send it again.")


def malformed(format_name: str) -> UnreadableRecording:
    return UnreadableRecording("malformed", f"文件内容不符合 {format_name} 格式，请重新导出。",
                               f"The content does not keep to the {format_name} format; please export it again.")


def no_unit() -> UnreadableRecording:
    return UnreadableRecording("no_unit", "文件没有给出可识别的电压单位，无法换算幅度，请重新导出。",
                               "The file states no known unit of voltage, so amplitudes are unknown.")
