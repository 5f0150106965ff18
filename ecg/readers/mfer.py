"""MFER files (ISO 22077-1), as Japanese carts and monitors write them: tag, length, value, to the end.

Of the waveforms only channels in volts with an ECG lead code are read; pressures, pulses and status words
in the same file are left out and counted in a note. Rates, amplitudes and nulls are the file's own.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ecg.readers.byte_view import ByteView
from ecg.readers.device_text import decode_device_text, iso_date, iso_time
from ecg.readers.refusals import MOST_LEADS, check_size, refuse
from ecg.recording import DeviceAsWritten, PatientAsWritten, Recording, SourceFile

NAME = "MFER"

_PREAMBLE, _BYTE_ORDER, _CHARSET, _BLOCK, _CHANNELS, _SEQUENCES = 0x40, 0x01, 0x03, 0x04, 0x05, 0x06
_LEAD, _TYPE, _INTERVAL, _SENSITIVITY, _OFFSET, _COMPRESSION = 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E
_FILTER, _NULL, _MODEL, _WAVE, _CHANNEL, _END = 0x11, 0x12, 0x17, 0x1E, 0x3F, 0x80
_NAME, _PATIENT, _AGE, _SEX, _TIME = 0x81, 0x82, 0x83, 0x84, 0x85
_MOST_ELEMENTS = 100_000
#: 6.4, data types: numpy code by number. 4 is a status word, 9 a compressed form.
_TYPES = {0: "i2", 1: "u2", 2: "i4", 3: "u1", 4: "u2", 5: "i1", 6: "u4", 7: "f4", 8: "f8"}
_STATUS = 4
#: Lead codes of electrocardiograms.
_LEADS = {1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 9: "V7", 11: "V3R", 12: "V4R",
          13: "V5R", 14: "V6R", 15: "V7R", 16: "X", 17: "Y", 18: "Z", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
          66: "V8", 67: "V9", 68: "V8R", 69: "V9R"}
_MOST_ECG_CODE = 127


@dataclass
class _State:
    """What the tags before the waveform said: for all channels, and for each."""

    big: bool = True
    charset: str = ""
    common: dict[int, bytes] = field(default_factory=dict)
    channels: dict[int, dict[int, bytes]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)

    def number(self, raw: bytes, signed: bool = False) -> int:
        return int.from_bytes(raw, "big" if self.big else "little", signed=signed)

    def of(self, channel: int, tag: int) -> bytes | None:
        return self.channels.get(channel, {}).get(tag, self.common.get(tag))


@dataclass(frozen=True)
class _Channel:
    """Where a channel's samples stand in each sequence, and what they mean."""

    code: int
    type: int
    start: int
    size: int
    rate_hz: float
    lsb_uv: float | None
    null: bytes
    offset: bytes


def sniff(head: bytes, name: str = "") -> bool:
    """True where the file opens with the preamble MFR."""
    return len(head) > 5 and head[0] == _PREAMBLE and head[2:5] == b"MFR"


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The ECG channels of the first waveform in ``files[0]`` that has any, microvolts.

    Refuses with :class:`~ecg.errors.UnreadableRecording`: ``empty``, ``not_recognised``, ``truncated``,
    ``unsupported`` (compressed), ``no_leads``, ``no_samples``, ``no_rate``, ``mixed_rates``, ``hostile``.
    """
    content = files[0].content
    if not content:
        raise refuse("empty")
    if not sniff(content):
        raise refuse("not_recognised")
    state, found, waves = _State(), None, 0
    for tag, channel, value in _elements(ByteView(content)):
        if tag == _WAVE:
            waves += 1
            found = found or _waveform(state, value)
        elif channel is not None:
            state.channels.setdefault(channel, {}).update(
                (inner, part.take(0, len(part))) for inner, _, part in _elements(value))
        else:
            _note(state, tag, value.take(0, len(value)))
    if found is None:
        raise refuse("no_leads" if waves else "no_samples")
    names, samples, lsb, rate, notes = found
    if waves > 1:
        notes.append(f"further_waveforms:{waves - 1}")
    maker = (state.texts.get(_MODEL, "").split("^") + [""] * 4)[:4]
    born, age = _age(state)
    return Recording(
        format=NAME, leads=names, samples_uv=samples, rate_hz=rate, lsb_uv=lsb, start=_start(state),
        patient=PatientAsWritten(
            patient_id=state.texts.get(_PATIENT, ""), name=state.texts.get(_NAME, ""), birth_date=born,
            sex={b"\1": "M", b"\2": "F"}.get(state.common.get(_SEX, b"")[:1], ""), age_years=age),
        device=DeviceAsWritten(maker[0].strip(), maker[1].strip(), maker[3].strip(), maker[2].strip()),
        filters_as_written=state.texts.get(_FILTER, ""), notes=tuple(notes),
    )


def _elements(view: ByteView) -> Iterator[tuple[int, int | None, ByteView]]:
    """Tag, channel number (for channel attributes) and value, up to an end tag or the end of the view."""
    at = 0
    for _ in range(_MOST_ELEMENTS):
        if at >= len(view):
            return
        tag, channel = view.u8(at), None
        at += 1
        if tag in (0x00, _END):
            return
        if tag == _CHANNEL:
            channel = 0
            while True:
                part = view.u8(at)
                at += 1
                channel = channel << 7 | part & 0x7F
                if part < 0x80:
                    break
                if channel > MOST_LEADS:
                    raise refuse("hostile")
        size = view.u8(at)
        at += 1
        if size == 0x80:
            raise refuse("unsupported")         # of indefinite length
        if size > 0x80:
            width = size & 0x7F
            if width > 8:
                raise refuse("damaged")
            size = int.from_bytes(view.take(at, width), "big")
            at += width
        yield tag, channel, view.part(at, size)
        at += size
    raise refuse("hostile")


def _note(state: _State, tag: int, raw: bytes) -> None:
    """Keeps an attribute that stands for the whole file."""
    if tag == _BYTE_ORDER:
        state.big = raw[:1] != b"\1"
    elif tag == _CHARSET:
        name = decode_device_text(raw)[0].lower()
        state.charset = {"utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "utf-8": "utf-8", "gb2312": "gb18030",
                         "gb18030": "gb18030", "shift-jis": "shift_jis", "shift_jis": "shift_jis"}.get(name, "")
    elif tag in (_MODEL, _FILTER, _NAME, _PATIENT):
        state.texts.setdefault(tag, decode_device_text(raw, state.charset)[0])
    else:
        state.common[tag] = raw


def _waveform(state: _State, data: ByteView):
    """Names, samples, lsb, rate and notes of the ECG channels, or None where there are none."""
    if state.number(state.common.get(_COMPRESSION, b"\0")[:2]):
        raise refuse("unsupported")
    count = state.number(state.common.get(_CHANNELS, b"\1"))
    if not 1 <= count <= MOST_LEADS:
        raise refuse("hostile" if count else "no_leads")
    channels, step = [], 0
    for i in range(count):
        channels.append(_channel(state, i, step))
        step += channels[-1].size * np.dtype(_TYPES[channels[-1].type]).itemsize
    chosen = [c for c in channels if c.lsb_uv is not None and c.type != _STATUS and c.code <= _MOST_ECG_CODE]
    if not chosen:
        return None
    if not all(c.rate_hz for c in chosen):
        raise refuse("no_rate")
    if len({(c.rate_hz, c.size) for c in chosen}) > 1:
        raise refuse("mixed_rates")
    sequences = state.number(state.common.get(_SEQUENCES, b"")) or len(data) // step
    check_size(len(chosen), sequences * chosen[0].size)
    raw = np.frombuffer(data.take(0, sequences * step), np.uint8).reshape(sequences, step)

    notes = [f"channels_not_ecg:{count - len(chosen)}"] if len(chosen) < count else []
    names: list[str] = []
    samples = np.empty((len(chosen), sequences * chosen[0].size))
    for i, channel in enumerate(chosen):
        samples[i] = _physical(raw, channel, state.big)
        name = _LEADS.get(channel.code, f"lead{channel.code}")
        names.append(name if name not in names else f"{name}-{i + 1}")
        if any(channel.offset):
            notes.append(f"offset_not_applied:{names[-1]}")
    return tuple(names), samples, tuple(c.lsb_uv for c in chosen), chosen[0].rate_hz, notes


def _channel(state: _State, i: int, start: int) -> _Channel:
    kind = state.number(state.of(i, _TYPE) or b"\0")
    if kind not in _TYPES:
        raise refuse("unsupported")
    size = state.number(state.of(i, _BLOCK) or b"\1")
    if size < 1:
        raise refuse("damaged")
    if size > 10 ** 9:
        raise refuse("hostile")
    lead = state.of(i, _LEAD) or b"\0"
    return _Channel(state.number(lead[:2]), kind, start, size, _rate(state, i), _lsb(state, i),
                    state.of(i, _NULL) or b"", state.of(i, _OFFSET) or b"")


def _scaled(state: _State, raw: bytes) -> tuple[int, int, int]:
    """Unit, exponent of ten and mantissa of an interval or a sensitivity."""
    if not 3 <= len(raw) <= 10:
        raise refuse("damaged")
    exponent = int.from_bytes(raw[1:2], "big", signed=True)
    if not -12 <= exponent <= 12:
        raise refuse("damaged")
    return raw[0], exponent, state.number(raw[2:], signed=True)


def _rate(state: _State, i: int) -> float:
    """Samples a second, 0 where the file does not say or counts in metres."""
    raw = state.of(i, _INTERVAL)
    if raw is None:
        return 0.0
    unit, exponent, value = _scaled(state, raw)
    if value <= 0 or unit > 1:
        return 0.0
    return value * 10.0 ** exponent if unit == 0 else 10.0 ** -exponent / value


def _lsb(state: _State, i: int) -> float | None:
    """Microvolts of a count; None where the channel is not in volts."""
    raw = state.of(i, _SENSITIVITY)
    if raw is None:
        return None
    unit, exponent, value = _scaled(state, raw)
    return value * 10.0 ** (exponent + 6) if unit == 0 and value > 0 else None


def _physical(raw: np.ndarray, channel: _Channel, big: bool) -> np.ndarray:
    """Microvolts of one channel over all sequences; nulls and what is not finite become NaN."""
    dtype = np.dtype((">" if big else "<") + _TYPES[channel.type])
    stop = channel.start + channel.size * dtype.itemsize
    values = np.ascontiguousarray(raw[:, channel.start:stop]).view(dtype).ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        out = values.astype(np.float64) * channel.lsb_uv
    if len(channel.null) == dtype.itemsize:
        out[values == np.frombuffer(channel.null, dtype)[0]] = np.nan
    out[~np.isfinite(out)] = np.nan
    return out


def _start(state: _State) -> str:
    raw = state.common.get(_TIME, b"")
    if len(raw) < 7:
        return ""
    return iso_time(state.number(raw[:2]), *raw[2:7])


def _age(state: _State) -> tuple[str, float | None]:
    """Date of birth and age in years, where they are set (not 0xFF)."""
    raw = state.common.get(_AGE, b"")
    if len(raw) != 7:
        return "", None
    years = float(raw[0]) if raw[0] < 150 and raw[:3] != b"\0\0\0" else None
    return iso_date(state.number(raw[3:5]), raw[5], raw[6]), years
