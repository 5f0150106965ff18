"""How a finished report becomes paper: one letter in, one PDF/A-2b document out.

The letter is complete in itself: everything printed is a field of it, already in the words and the local
time of the region. The same letter always gives the same bytes. What people and devices wrote is handed to
the typesetter as JSON and stays text: it is never markup. An ECG sheet is placed at 100 %, so that 25 mm
on the page are 25 mm. A character that the typeface lacks is shown as 〓 and named in a note.
"""

import dataclasses
import io
import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path

import segno
import typst
from PIL import Image

from hub.delivery.sheet import Sheet, prepare_sheet
from hub.delivery.typeface import FAMILY, Missing, font_folder, legible
from hub.errors import Invalid

PIXEL_LIMIT = 40_000_000
IMAGE_BYTES_LIMIT = 20_000_000
TEXT_LIMIT = 20_000
LANDSCAPE_A4_MM = (297.0, 210.0)

_LABELS = {
    "institution_zh": "机构名称", "institution_en": "机构英文名", "title": "标题", "report_number": "报告编号",
    "patient_name": "姓名", "patient_sex": "性别", "patient_age": "年龄", "patient_birth_date": "出生日期",
    "patient_id": "患者编号", "clinic": "申请机构", "accession_number": "检查号", "modality": "检查类型",
    "body_part": "检查部位", "study_time": "检查时间", "device": "检查设备",
    "clinical_information": "临床资料", "completeness": "资料完整性", "findings": "检查所见",
    "impression": "诊断意见", "recommendation": "建议", "report_physician": "报告医师",
    "report_time": "报告时间", "review_physician": "审核医师", "review_time": "审核时间",
    "emergency_note": "单签说明", "recognition_mark": "互认标识", "verification_text": "验证说明",
    "reason": "修订原因", "replaces": "所替代版本", "caption": "图注", "label": "测量项目", "value": "测量值",
    "unit": "单位",
}
_REQUIRED = ("institution_zh", "title", "report_number", "patient_name", "impression", "report_physician")


@dataclass(frozen=True)
class KeyImage:
    """A picture the physician chose: PNG or JPEG (grey or RGB) bytes, and what it shows."""

    caption: str
    image: bytes


@dataclass(frozen=True)
class Measurement:
    """One row of the measurements table, as words: 心率, 72, 次/分."""

    label: str
    value: str
    unit: str = ""


@dataclass(frozen=True)
class Amendment:
    """Why a signed report was replaced, and which version it was (第 1 版，2026-05-02 10:22 签发)."""

    reason: str
    replaces: str


@dataclass(frozen=True)
class Letter:
    """A report as the clinic and the patient will hold it.

    Times are local strings as they shall be printed; ``issued_at`` (with a time zone) only dates the file.
    ``positive`` is None where the form has no such box. ``ecg_sheet_svg`` gives its width and height in mm.
    An empty optional text leaves its line or section out, or shows — in the grid. ``impression``,
    ``report_physician``, ``patient_name``, ``report_number``, ``title`` and ``institution_zh`` may not be
    empty.
    """

    institution_zh: str
    title: str
    report_number: str
    issued_at: datetime
    patient_name: str
    impression: str
    report_physician: str
    report_time: str
    institution_en: str = ""
    version: int = 1
    amendment: Amendment | None = None
    patient_sex: str = ""
    patient_age: str = ""
    patient_birth_date: str = ""
    patient_id: str = ""
    clinic: str = ""
    accession_number: str = ""
    modality: str = ""
    body_part: str = ""
    study_time: str = ""
    device: str = ""
    clinical_information: str = ""
    completeness: str = ""
    findings: str = ""
    recommendation: str = ""
    positive: bool | None = None
    critical: bool = False
    measurements: tuple[Measurement, ...] = ()
    key_images: tuple[KeyImage, ...] = ()
    ecg_sheet_svg: bytes | None = None
    review_physician: str = ""
    review_time: str = ""
    emergency_note: str = ""
    recognition_mark: str = ""
    verification_text: str = ""
    qr_content: str = ""


@dataclass(frozen=True)
class MissingGlyph:
    """A character of the letter that the typeface cannot show: in which field, and which one."""

    field: str
    label: str
    missing: Missing


def render(letter: Letter) -> bytes:
    """The letter as a PDF/A-2b file, its fonts embedded, the same bytes for the same letter.

    Raises Invalid: ``letter.incomplete`` (a required field is empty), ``letter.date`` (``issued_at`` without
    a time zone), ``letter.too_long`` (over 20 000 characters in one field), ``letter.image`` (not a sound
    PNG or JPEG, or too large), ``letter.sheet`` (not an SVG with its size in mm), ``letter.qr`` (too much
    for a QR code), ``letter.typeset`` (the typesetter refused). Permanent ``letter.font_missing``.
    """
    _check(letter)
    words, missing = _words(letter)
    sheet = prepare_sheet(letter.ecg_sheet_svg) if letter.ecg_sheet_svg is not None else None
    words["missing_note"] = _note(missing + _on_sheet(sheet))
    with tempfile.TemporaryDirectory(prefix="letter-") as folder:
        root = Path(folder)
        words["images"] = [_place_image(root, index, key.image) for index, key in enumerate(letter.key_images)]
        words["qr"] = _place_qr(root, letter.qr_content)
        words["sheet"] = _place_sheet(root, sheet)
        source = root / "letter.typ"
        source.write_bytes(resources.files("hub.delivery").joinpath("letter.typ").read_bytes())
        try:
            return typst.compile(
                str(source), root=folder, format="pdf", pdf_standards=["a-2b"],
                font_paths=typst.Fonts(include_system_fonts=False, include_embedded_fonts=False,
                                       font_paths=[str(font_folder())]),
                sys_inputs={"letter": json.dumps(words, ensure_ascii=True)},
                timestamp=int(letter.issued_at.timestamp()),
            )
        except typst.TypstError as error:
            raise Invalid("letter.typeset", f"报告无法排版：{error.message}",
                          f"The report could not be typeset: {error.message}") from error


def missing_glyphs(letter: Letter) -> tuple[MissingGlyph, ...]:
    """What the printed letter would show as 〓, in the order of the fields; empty for almost every letter."""
    sheet = prepare_sheet(letter.ecg_sheet_svg) if letter.ecg_sheet_svg is not None else None
    return _words(letter)[1] + _on_sheet(sheet)


def _check(letter: Letter) -> None:
    empty = [name for name in _REQUIRED if not legible(getattr(letter, name)).text.strip()]
    if empty:
        raise Invalid("letter.incomplete",
                      f"报告缺少必填内容：{'、'.join(_LABELS[name] for name in empty)}。请补全后再签发。",
                      f"The report lacks {', '.join(empty)}; fill in and issue again.")
    if letter.issued_at.tzinfo is None:
        raise Invalid("letter.date", "签发时间没有时区。", "issued_at has no time zone.")


def _words(letter: Letter) -> tuple[dict, tuple[MissingGlyph, ...]]:
    """Every text of the letter made legible, in the shape that letter.typ reads."""
    missing: list[MissingGlyph] = []

    def clean(part: object) -> dict:
        words = {}
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if not isinstance(value, str) or field.name == "qr_content":
                continue
            if len(value) > TEXT_LIMIT:
                raise Invalid("letter.too_long",
                              f"{_LABELS[field.name]}超过 {TEXT_LIMIT} 字，无法打印。请缩短后重试。",
                              f"{field.name} is longer than {TEXT_LIMIT} characters; shorten it.")
            shown = legible(value)
            missing.extend(MissingGlyph(field.name, _LABELS[field.name], each) for each in shown.missing)
            words[field.name] = shown.text.strip()
        return words

    words = clean(letter)
    for name in ("findings", "impression", "recommendation", "clinical_information", "verification_text"):
        words[name] = [line.strip() for line in words[name].split("\n") if line.strip()]
    words["amendment"] = clean(letter.amendment) if letter.amendment else None
    words["measurements"] = [clean(row) for row in letter.measurements]
    words["captions"] = [clean(key)["caption"] for key in letter.key_images]
    words.update(version=letter.version, positive=letter.positive, critical=letter.critical, family=FAMILY)
    return words, tuple(missing)


def _on_sheet(sheet: Sheet | None) -> tuple[MissingGlyph, ...]:
    return tuple(MissingGlyph("ecg_sheet_svg", "心电图纸", each) for each in (sheet.missing if sheet else ()))


def _note(missing: tuple[MissingGlyph, ...]) -> str:
    if not missing:
        return ""
    places = [f"{each.label}第 {each.missing.position + 1} 字 {each.missing.code_point}" for each in missing]
    more = f" 等共 {len(places)} 处" if len(places) > 12 else ""
    return f"注：字体缺字以〓代替：{'；'.join(places[:12])}{more}。"


def _place_image(root: Path, index: int, image: bytes) -> str:
    """Write one key image beside the template, after a look at its header: kind, colours and size."""
    problem_zh, problem_en, kind = "", "", ""
    try:
        with Image.open(io.BytesIO(image), formats=("PNG", "JPEG")) as picture:
            kind, pixels, mode = picture.format.lower(), picture.width * picture.height, picture.mode
            if pixels > PIXEL_LIMIT or len(image) > IMAGE_BYTES_LIMIT:
                problem_zh, problem_en = "太大", "is too large"
            elif mode == "CMYK":
                problem_zh, problem_en = "是 CMYK 颜色", "has CMYK colours"
            else:
                picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        problem_zh, problem_en = "不是完好的 PNG 或 JPEG", "is no sound PNG or JPEG"
    if problem_zh:
        raise Invalid("letter.image", f"第 {index + 1} 幅关键图像{problem_zh}，请重新选取。",
                      f"Key image {index + 1} {problem_en}; choose it again.")
    name = f"key-{index}.{kind}"
    (root / name).write_bytes(image)
    return name


def _place_qr(root: Path, content: str) -> str:
    """The QR code as vectors; empty content draws none."""
    if not content:
        return ""
    try:
        code = segno.make(content, error="m", micro=False)
    except (segno.DataOverflowError, ValueError) as error:
        raise Invalid("letter.qr", "二维码内容过长或无法编码。",
                      "The content does not fit into a QR code.") from error
    code.save(str(root / "qr.svg"), kind="svg", border=0, xmldecl=False)
    return "qr.svg"


def _place_sheet(root: Path, sheet: Sheet | None) -> dict | None:
    """The ECG sheet and its page: the page grows where the sheet is larger than A4, the drawing never shrinks."""
    if sheet is None:
        return None
    (root / "sheet.svg").write_bytes(sheet.svg)
    return {"file": "sheet.svg", "width_mm": sheet.width_mm, "height_mm": sheet.height_mm,
            "page_width_mm": max(sheet.width_mm, LANDSCAPE_A4_MM[0]),
            "page_height_mm": max(sheet.height_mm, LANDSCAPE_A4_MM[1])}
