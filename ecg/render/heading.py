"""Every word on the sheet and its place: who, when, what was measured, the scale, and the leads' names."""
from __future__ import annotations

from dataclasses import dataclass

from ecg.render.options import SheetHeading, SheetOptions
from ecg.render.words import GAP, WORDS, scale_line, shortened, width_em


@dataclass(frozen=True)
class Mark:
    """One line of text: its foot at (x, y) in millimetres, ``anchor`` "start" or "end" as in SVG, ``kind``
    says what it is (name, patient, place, measurement, statement, status, scale, lead, remark, note)."""

    kind: str
    text: str
    x_mm: float
    y_mm: float
    size_mm: float
    anchor: str = "start"
    bold: bool = False


def marks_of(options: SheetOptions, heading: SheetHeading, grid, strips, filters_as_written: str,
             further_leads: tuple[str, ...], simultaneous: bool) -> tuple[Mark, ...]:
    """All the words of a sheet, each shortened to the room that it has."""
    return (*_who(heading, grid, WORDS[options.language]), *_measured(heading, grid), *_concluded(heading, grid),
            *_foot(options, grid, filters_as_written, further_leads, simultaneous),
            *(mark for strip in strips for mark in _lead(strip, WORDS[options.language])))


def _line(kind, text, x_mm, y_mm, size_mm, room_mm, anchor="start", bold=False) -> tuple[Mark, ...]:
    if not text.strip():
        return ()
    return (Mark(kind, shortened(text, room_mm / size_mm), x_mm, y_mm, size_mm, anchor, bold),)


def _who(heading: SheetHeading, grid, words) -> tuple[Mark, ...]:
    left, right, half = grid.x_mm, grid.x_mm + grid.width_mm, grid.width_mm / 2
    name_room_mm = 0.64 * half
    size_mm = min(5.0, max(3.2, name_room_mm / max(1.0, width_em(heading.name))))   # a long name before a cut one
    name = shortened(heading.name, name_room_mm / size_mm)
    after_name = left + (width_em(name) * size_mm + 3.0 if name else 0.0)
    number = f"{words['id']} {heading.patient_id}" if heading.patient_id else ""
    accession = f"{words['accession']} {heading.accession_number}" if heading.accession_number else ""
    person = GAP.join(part for part in (heading.sex, heading.age, number) if part)
    place = GAP.join(part for part in (heading.institution, heading.recorded_at) if part)
    made = GAP.join(part for part in (accession, heading.device) if part)
    return (*_line("name", name, left, 12.0, size_mm, name_room_mm + 1.0, bold=True),
            *_line("patient", person, after_name, 12.0, 3.4, left + half + 8.0 - after_name),
            *_line("place", place, right, 12.0, 3.2, half - 12.0, "end"),
            *_line("place", made, right, 17.0, 2.8, half - 12.0, "end"))


def _measured(heading: SheetHeading, grid) -> tuple[Mark, ...]:
    """Label over value in columns under the name, as many as fit in the left three fifths."""
    marks, x_mm = [], grid.x_mm
    for label, value in heading.measurements:
        wide_mm = max(width_em(label) * 2.6, width_em(value) * 3.6) + 5.0
        if x_mm + wide_mm > grid.x_mm + 0.62 * grid.width_mm:
            break
        marks += _line("measurement-label", label, x_mm, 20.5, 2.6, wide_mm)
        marks += _line("measurement", value, x_mm, 25.0, 3.6, wide_mm)
        x_mm += wide_mm
    return tuple(marks)


def _concluded(heading: SheetHeading, grid) -> tuple[Mark, ...]:
    """Up to three lines of conclusions; the third says how many more there are."""
    lines, room_mm = list(heading.statements), 0.36 * grid.width_mm
    if len(lines) > 3:
        lines[2:] = [f"{lines[2]}（+{len(lines) - 3}）"]
    right = grid.x_mm + grid.width_mm
    marks = [mark for number, line in enumerate(lines)
             for mark in _line("statement", line, right, 22.0 + 3.9 * number, 3.1, room_mm, "end")]
    return (*marks, *_line("status", heading.status, grid.x_mm + grid.width_mm, 33.8, 2.6, room_mm, "end"))


def _foot(options, grid, filters_as_written, further_leads, simultaneous) -> tuple[Mark, ...]:
    words, foot_mm = WORDS[options.language], grid.y_mm + grid.height_mm + 5.5
    notes = [words["simultaneous"]] if simultaneous else []
    if options.start_s:
        notes.append(f"{words['from']} {options.start_s:g} s")
    if further_leads:
        notes.append(f"{words['more_leads']} {' '.join(further_leads)}")
    return (*_line("scale", scale_line(options, filters_as_written), grid.x_mm, foot_mm, 3.2, 0.6 * grid.width_mm),
            *_line("note", GAP.join(notes), grid.x_mm + grid.width_mm, foot_mm, 2.8, 0.38 * grid.width_mm, "end"))


def _lead(strip, words) -> tuple[Mark, ...]:
    size_mm = 3.6 if strip.height_mm >= 20 else 3.0
    rise_mm = min(12.0, 0.34 * strip.height_mm)
    x_mm, y_mm = strip.x0_mm + 1.0, strip.baseline_mm - rise_mm
    marks = _line("lead", strip.lead, x_mm, y_mm, size_mm, max(8.0, strip.width_mm - 2), bold=True)
    if strip.remark:
        x_mm += width_em(strip.lead) * size_mm + 2.0
        marks += _line("remark", words[strip.remark], x_mm, y_mm, size_mm - 0.4, 40.0)
    return marks
