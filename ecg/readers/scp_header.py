"""What an SCP-ECG record says besides its signal: patient, device, filters (section 1, EN 1064 5.4), the
cart's measurements (7 and 10) and statements (8). Taken as written; a number the cart marked as not
computed is left out.
"""
from __future__ import annotations

from dataclasses import dataclass

from ecg.readers.byte_view import ByteView
from ecg.readers.device_text import decode_device_text, iso_date, iso_time
from ecg.recording import DeviceAsWritten, PatientAsWritten

_FULL_YEARS = {1: 1.0, 2: 1 / 12, 3: 7 / 365.25, 4: 1 / 365.25, 5: 1 / 8766}
#: 5.4.3.1, tag 14: language support code to codec; the odd codes name a charset beyond Latin-1.
_CHARSETS = {
    0x03: "iso8859_2", 0x0B: "iso8859_4", 0x13: "iso8859_5", 0x1B: "iso8859_6", 0x23: "iso8859_7",
    0x2B: "iso8859_8", 0x33: "iso8859_11", 0x3B: "iso8859_15", 0x07: "utf-16-le", 0x0F: "shift_jis",
    0x17: "euc_jp", 0x1F: "euc_jp", 0x27: "gb18030", 0x2F: "cp949", 0x37: "utf-8",
}
_MAKERS = (
    "", "Burdick", "Cambridge", "Compumed", "Datamed", "Fukuda", "Hewlett-Packard", "Marquette Electronics",
    "Mortara Instruments", "Nihon Kohden", "Okin", "Quinton", "Siemens", "Spacelabs", "Telemed", "Hellige",
    "ESA-OTE", "Schiller", "Picker-Schwarzer", "et medical devices", "Zwönitz",
)
#: 5.4.3.1, tag 29: bit to filter.
_FILTER_BITS = ("notch 60 Hz", "notch 50 Hz", "artefact filter", "baseline filter")
#: 5.13.3: what stands in the record of each lead, in order.
_LEAD_FIELDS = (
    "p_duration_ms", "pr_interval_ms", "qrs_duration_ms", "qt_interval_ms", "q_duration_ms", "r_duration_ms",
    "s_duration_ms", "r2_duration_ms", "s2_duration_ms", "q_amplitude_uv", "r_amplitude_uv", "s_amplitude_uv",
    "r2_amplitude_uv", "s2_amplitude_uv", "j_amplitude_uv", "p_positive_uv", "p_negative_uv", "t_positive_uv",
    "t_negative_uv", "st_slope_uv_per_s",
)
#: Values that mean "not computed", "lead rejected" and "wave not present" (5.10.2, 5.13.3).
_NO_VALUE = {29999, 29998, 19999}


@dataclass(frozen=True)
class Header:
    patient: PatientAsWritten = PatientAsWritten()
    device: DeviceAsWritten = DeviceAsWritten()
    start: str = ""
    filters: str = ""
    charset: str = ""
    notes: tuple[str, ...] = ()


def read_tags(body: ByteView) -> dict[int, bytes]:
    """The first value of each tag of section 1, up to tag 255 or the end of the section."""
    tags: dict[int, bytes] = {}
    at = 0
    while at + 3 <= len(body):
        tag, size = body.u8(at), body.u16(at + 1)
        if tag == 255:
            break
        tags.setdefault(tag, body.take(at + 3, size))
        at += 3 + size
    return tags


def read_header(body: ByteView) -> Header:
    """Section 1. Refuses ``truncated`` where a tag runs past the section."""
    tags = read_tags(body)
    machine = tags.get(14, b"")
    charset = _CHARSETS.get(machine[16], "") if len(machine) > 16 else ""
    used: set[str] = set()

    def words(raw: bytes) -> str:
        text, by = decode_device_text(raw, charset)
        used.add(by)
        return text

    names = [words(tags.get(tag, b"")) for tag in (0, 3, 1)]
    patient = PatientAsWritten(
        patient_id=words(tags.get(2, b"")), name=" ".join(filter(None, names)),
        sex={b"\1": "M", b"\2": "F"}.get(tags.get(8, b"")[:1], ""),
        birth_date=_date(tags.get(5, b"")), age_years=_age(tags.get(4, b"")),
    )
    device = _device(machine, words)
    assumed = sorted(used - {"", charset})
    return Header(
        patient, device, _start(tags), _filters(tags), charset,
        tuple(f"text_charset_assumed:{name}" for name in assumed),
    )


def _date(raw: bytes) -> str:
    return iso_date(int.from_bytes(raw[:2], "little"), raw[2], raw[3]) if len(raw) >= 4 else ""


def _age(raw: bytes) -> float | None:
    if len(raw) < 3 or raw[2] not in _FULL_YEARS:
        return None
    age = int.from_bytes(raw[:2], "little") * _FULL_YEARS[raw[2]]
    return age if 0 < age < 150 else None


def _start(tags: dict[int, bytes]) -> str:
    day, clock = tags.get(25, b""), tags.get(26, b"")
    if len(day) < 4:
        return ""
    if len(clock) < 3:
        return _date(day)
    return iso_time(int.from_bytes(day[:2], "little"), day[2], day[3], clock[0], clock[1], clock[2])


def _filters(tags: dict[int, bytes]) -> str:
    parts = []
    high_pass, low_pass = (int.from_bytes(tags.get(tag, b"")[:2], "little") for tag in (27, 28))
    if high_pass:
        parts.append(f"high-pass {high_pass / 100:g} Hz")
    if low_pass:
        parts.append(f"low-pass {low_pass} Hz")
    bits = tags.get(29, b"\0")[:1] or b"\0"
    return "; ".join(parts + [name for i, name in enumerate(_FILTER_BITS) if bits[0] >> i & 1])


def _device(machine: bytes, words) -> DeviceAsWritten:
    if len(machine) < 15:
        return DeviceAsWritten()
    texts = [words(part) for part in machine[36:].split(b"\0")] + [""] * 5
    maker = texts[4] or (_MAKERS[machine[7]] if machine[7] < len(_MAKERS) else "")
    return DeviceAsWritten(maker, words(machine[8:14]), texts[1], texts[2])


def read_global_measurements(body: ByteView) -> dict[str, float | str]:
    """Section 7: intervals in ms and axes in degrees of the first (reference) beat, and the extra block.

    P, PR, QRS and QT are differences of the onsets and ends that the cart wrote. A section that ends
    early gives what came before its end.
    """
    found: dict[str, float | str] = {}
    if len(body) < 6:
        return found
    beats, spikes = body.u8(0), body.u8(1)
    _put(found, "rr_ms", body.u16(2))
    _put(found, "pp_ms", body.u16(4))
    if beats and len(body) >= 22:
        p_on, p_off, qrs_on, qrs_off, t_off = (body.u16(at) for at in range(6, 16, 2))
        for name, start, end in (("p_ms", p_on, p_off), ("pr_ms", p_on, qrs_on),
                                 ("qrs_ms", qrs_on, qrs_off), ("qt_ms", qrs_on, t_off)):
            if not {start, end} & _NO_VALUE and end > start:
                found[name] = float(end - start)
        for name, at in (("p_axis_deg", 16), ("qrs_axis_deg", 18), ("t_axis_deg", 20)):
            axis = body.i16(at)
            if -360 <= axis <= 360:
                found[name] = float(axis)
    at = 6 + 16 * beats + 10 * spikes
    if at + 2 > len(body):
        return found
    at += 2 + body.u16(at)
    if at + 7 <= len(body):
        _put(found, "heart_rate_bpm", body.u16(at))
        _put(found, "atrial_rate_bpm", body.u16(at + 2))
        _put(found, "qtc_ms", body.u16(at + 4))
        formula = {1: "Bazett", 2: "Hodges"}.get(body.u8(at + 6), "")
        if formula and "qtc_ms" in found:
            found["qtc_formula"] = formula
    return found


def _put(found: dict[str, float | str], name: str, value: int) -> None:
    if value and value not in _NO_VALUE and value < 19998:
        found[name] = float(value)


def read_statements(body: ByteView, charset: str) -> tuple[str, ...]:
    """Section 8: the statements in order; those that run past the section are left out (5.11)."""
    if len(body) < 9:
        return ()
    texts, at = [], 9
    for _ in range(body.u8(8)):
        if at + 3 > len(body):
            break
        size = body.u16(at + 1)
        if at + 3 + size > len(body):
            break
        texts.append(decode_device_text(body.take(at + 3, size), charset)[0])
        at += 3 + size
    return tuple(filter(None, texts))


def read_lead_measurements(body: ByteView, lead_names: dict[int, str]) -> dict[str, float | str]:
    """Section 10: the cart's values lead by lead, as ``V1.r_amplitude_uv`` and the like (5.13)."""
    found: dict[str, float | str] = {}
    if len(body) < 4:
        return found
    at = 4
    for _ in range(min(body.u16(0), 255)):
        if at + 4 > len(body):
            break
        lead, size = lead_names.get(body.u16(at), ""), body.u16(at + 2)
        if at + 4 + size > len(body):
            break
        for i, name in enumerate(_LEAD_FIELDS[:size // 2]):
            value = body.i16(at + 4 + 2 * i)
            if lead and value not in _NO_VALUE:
                found[f"{lead}.{name}"] = float(value)
        at += 4 + size
    return found
