"""Delimited text: one row per sample, one column per lead, in a declared unit at a declared rate.

Text says neither rate nor unit, and both decide the diagnosis, so the sender must: ``declared`` holds
``rate_hz``, ``unit`` (uV, mV, V, nV) and, where the first row does not name the leads, ``leads`` (a comma
list). An empty cell is a gap (NaN); a word such as ``nan`` is refused, because nobody knows what it meant.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ecg.errors import UnreadableRecording
from ecg.leads import standard_name
from ecg.readers.given import MAX_LEADS, check_rate, check_size, check_values, malformed, the_one
from ecg.recording import Recording, SourceFile
from ecg.units import microvolts_per

NAME = "CSV"
MAX_CSV_BYTES = 8 * 1024 * 1024      # ten seconds of twelve leads are 0.5 MB; text costs far more than its size
_NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,2})?")
_WORDS = {"nan", "inf", "-inf", "null", "none", "na", "n/a"}
_TIME = re.compile(r"(time|t|zeit|时间|sample|samples|index|序号|ms|sec|seconds|s)\b.*|", re.IGNORECASE)


def sniff(head: bytes, name: str = "") -> bool:
    """True for text whose second row on is numbers separated by comma, semicolon or tab, two columns or more."""
    if b"\x00" in head:
        return False
    lines = _text(head, partial=True).splitlines()
    lines = [line for line in (lines[:-1] if len(head) >= 4096 else lines) if line.strip()][:6]
    delimiter = _delimiter(lines)
    if delimiter is None:
        return False
    rows = [_cells(line, delimiter) for line in lines]
    body = rows if all(map(_numeric, rows[0])) else rows[1:]
    return bool(body) and all(len(row) == len(rows[0]) and any(row) and all(map(_numeric, row)) for row in body)


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """One table with what was declared about it. Raises UnreadableRecording only (``declare_rate_and_unit``,
    ``declare_leads``, ``no_unit``, ``no_rate``, ``not_a_number``, ``malformed`` ...)."""
    file = the_one(files, sniff, NAME)
    check_size(file, MAX_CSV_BYTES)
    rate_hz, unit_uv, leads = _declaration(declared or {})
    lines = [line for line in _text(file.content).splitlines() if line.strip()]
    delimiter = _delimiter(lines[:6])
    if delimiter is None:
        raise malformed(NAME)
    first = _cells(lines[0], delimiter)
    header = None if all(map(_numeric, first)) else first
    body = lines[1:] if header else lines
    if not 1 <= len(first) <= MAX_LEADS:
        raise malformed(NAME)
    check_values(len(first), len(body))
    table, decimals = _table(body, delimiter, len(first), 2 if header else 1)
    columns, leads, notes = _columns(header, leads, len(first))
    check_values(len(columns), len(body))
    lsb_uv = unit_uv * 10.0 ** -decimals
    samples_uv = np.ascontiguousarray(table[:, columns].T)
    if decimals <= 12 and np.nanmax(np.abs(samples_uv), initial=0.0) * 10.0 ** decimals < 2.0 ** 53:
        samples_uv = np.rint(samples_uv * 10.0 ** decimals) * lsb_uv
    else:
        samples_uv = samples_uv * unit_uv
    return Recording(format=NAME, leads=leads, samples_uv=samples_uv, rate_hz=rate_hz, lsb_uv=(lsb_uv,) * len(leads),
                     notes=("declared:rate_hz,unit",) + notes)


def _declaration(declared: Mapping[str, str]) -> tuple[float, float, tuple[str, ...]]:
    rate, unit = str(declared.get("rate_hz") or "").strip(), str(declared.get("unit") or "").strip()
    if not rate or not unit:
        raise UnreadableRecording("declare_rate_and_unit", "CSV 文件本身不含采样率和单位，请在上传时注明 rate_hz（如 500）和 unit（uV 或 mV）。",
                                  "A CSV file does not say its rate and unit; please declare rate_hz (500) and unit (uV or mV).")
    if not _NUMBER.fullmatch(rate):
        check_rate(float("nan"))
    unit_uv = microvolts_per(unit)
    if unit_uv is None:
        raise UnreadableRecording("no_unit", "注明的单位无法识别，请填写 uV、mV、V 或 nV。", "The declared unit is unknown; please write uV, mV, V or nV.")
    leads = tuple(standard_name(lead) for lead in re.split(r"[,;\s]+", str(declared.get("leads") or "")) if lead)
    return check_rate(float(rate)), unit_uv, leads


def _columns(header: list[str] | None, leads: tuple[str, ...], count: int) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """Which columns are leads and what they are called; a time column is left out with a note."""
    if header is None:
        if not leads:
            raise UnreadableRecording("declare_leads", "文件第一行没有导联名称，请在上传时注明 leads（如 I,II,V1）。",
                                      "The first row names no leads; please declare leads (such as I,II,V1).")
        if len(leads) != count:
            raise UnreadableRecording("declare_leads", "注明的导联数与文件列数不一致。", "The declared leads are not as many as the columns.")
        columns, notes = list(range(count)), ()
    else:
        columns = [index for index, title in enumerate(header) if not _TIME.fullmatch(title)]
        notes = tuple(f"column_not_used:{header[index]}" for index in range(count) if index not in columns)
        leads = leads or tuple(standard_name(re.sub(r"\s*[(\[][^)\]]*[)\]]\s*$", "", header[index])) for index in columns)
    if len(leads) != len(columns) or len(set(leads)) != len(leads) or not all(leads):
        raise UnreadableRecording("declare_leads", "导联名称缺失或重复，请检查首行或注明的 leads。",
                                  "Lead names are missing or repeated; please check the first row or the declared leads.")
    return columns, leads, notes


def _table(lines: Sequence[str], delimiter: str, count: int, first_line: int) -> tuple[np.ndarray, int]:
    """Values (rows, columns) with NaN for empty cells, and the decimals of the finest value."""
    table = np.full((len(lines), count), np.nan)
    decimals = 0
    for index, line in enumerate(lines):
        cells = _cells(line, delimiter)
        if len(cells) != count:
            raise UnreadableRecording("malformed", f"第 {index + first_line} 行的列数与首行不同，文件可能不完整。",
                                      f"Row {index + first_line} has not as many columns as the first; the file may be incomplete.")
        for column, cell in enumerate(cells):
            if not cell:
                continue
            match = _NUMBER.fullmatch(cell)
            if match is None:
                raise UnreadableRecording("not_a_number", f"第 {index + first_line} 行第 {column + 1} 列不是数字；缺失的采样请留空。",
                                          f"Row {index + first_line}, column {column + 1} is not a number; leave missing samples empty.")
            table[index, column] = float(cell)
            fraction = len(match[1].partition(".")[2])
            decimals = max(decimals, fraction - int((match[3] or "e0")[1:]))
    return table, decimals


def _delimiter(lines: Sequence[str]) -> str | None:
    """The separator all the given lines have equally often; a comma beside semicolons is a decimal comma."""
    for delimiter in ("\t", ";", ","):
        counts = {line.count(delimiter) for line in lines}
        if len(counts) == 1 and counts.pop() > 0:
            return delimiter
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    cells = [cell.strip().strip('"').strip() for cell in line.split(delimiter)]
    return cells if delimiter == "," else [re.sub(r"(?<=\d),(?=\d)", ".", cell) for cell in cells]


def _numeric(cell: str) -> bool:
    return not cell or _NUMBER.fullmatch(cell) is not None or cell.lower() in _WORDS


def _text(content: bytes, partial: bool = False) -> str:
    content = content.removeprefix(b"\xef\xbb\xbf")
    for encoding in ("utf-8", "gb18030"):
        try:
            return content.decode(encoding, "ignore" if partial else "strict")
        except UnicodeDecodeError:
            continue
    raise malformed(NAME)
