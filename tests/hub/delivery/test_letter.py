"""The letter as others read it: poppler's text, fonts and pixels, and the PDF's own structure."""

import dataclasses
import io
import re

import pytest
from PIL import Image
from pyhanko.pdf_utils.reader import PdfFileReader

from hub.delivery.letter import KeyImage, Measurement, missing_glyphs, render
from hub.delivery.sheet import prepare_sheet
from hub.errors import Invalid, Permanent
from tests.hub.delivery.conftest import picture, sheet

WRITTEN = ("institution_zh", "title", "report_number", "patient_name", "patient_sex", "patient_age",
           "patient_birth_date", "patient_id", "clinic", "accession_number", "modality", "body_part",
           "study_time", "device", "clinical_information", "completeness", "findings", "impression",
           "recommendation", "report_physician", "report_time", "review_physician", "review_time",
           "recognition_mark", "verification_text", "emergency_note")


def close(text: str) -> str:
    """Without the spaces that layout puts in."""
    return re.sub(r"\s+", "", text)


def sizes_mm(pdf: bytes) -> list[tuple[float, float]]:
    pages = PdfFileReader(io.BytesIO(pdf)).root["/Pages"]["/Kids"]
    boxes = [[float(edge) for edge in page.get_object()["/MediaBox"]] for page in pages]
    return [(round((b[2] - b[0]) / 72 * 25.4, 1), round((b[3] - b[1]) / 72 * 25.4, 1)) for b in boxes]


@pytest.mark.peers
def test_everything_in_the_letter_can_be_read_in_the_file(ct_letter, ecg_letter, poppler):
    for letter in (ct_letter, ecg_letter):
        text = close(poppler("pdftotext", render(letter)))
        for name in WRITTEN:
            for line in getattr(letter, name).splitlines():
                assert close(line) in text, name
        for row in letter.measurements:
            assert row.label.replace(" ", "") in text and row.value in text and row.unit in text
        for key in letter.key_images:
            assert close(key.caption) in text


@pytest.mark.peers
def test_the_form_keeps_its_order_on_one_page(ct_letter, poppler):
    pdf = render(ct_letter)
    text = close(poppler("pdftotext", pdf))
    order = ["青禾县人民医院", "CT诊断报告单", "报告编号", "测试甲", "柳河镇中心卫生院", "基于64/64幅", "检查所见",
             "关键图像", "诊断意见", "■阳性", "□阴性", "建议", "报告医师", "审核医师", "第1页共1页"]
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    assert sizes_mm(pdf) == [(210.0, 297.0)]


@pytest.mark.peers
def test_an_amended_critical_report_says_so_in_words(ecg_letter, poppler):
    text = close(poppler("pdftotext", render(ecg_letter)))
    assert "危急值" in text and "请立即处置" in text
    assert "本报告为第2版，替代第1版（2026-05-0209:20签发），原版本作废" in text
    assert "修订原因" in text and "首版漏写导联脱落。" in text


@pytest.mark.peers
def test_a_plain_report_has_no_marks_it_did_not_earn(ct_letter, poppler):
    bare = dataclasses.replace(ct_letter, recognition_mark="", recommendation="", key_images=(), positive=None,
                               qr_content="", clinical_information="", completeness="")
    text = close(poppler("pdftotext", render(bare)))
    for absent in ("危急值", "修订", "建议", "阳性", "阴性", "关键图像", "测量值", "临床资料", "HR", "〓", "心电图"):
        assert absent not in text


@pytest.mark.peers
def test_every_font_is_embedded_and_maps_to_unicode(ct_letter, ecg_letter, poppler):
    for letter in (ct_letter, ecg_letter):
        rows = poppler("pdffonts", render(letter)).splitlines()[2:]
        assert rows
        for row in rows:
            assert "NotoSansCJKsc" in row and row.split()[-5:-2] == ["yes", "yes", "yes"]


def test_the_file_says_it_is_pdf_a_2b_and_carries_its_colour_intent(ct_letter):
    root = PdfFileReader(io.BytesIO(render(ct_letter))).root
    metadata = root["/Metadata"].data
    assert b"<pdfaid:part>2</pdfaid:part>" in metadata and b"<pdfaid:conformance>B<" in metadata
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert root["/Lang"] == "zh-CN"
    assert "/JavaScript" not in root.get("/Names", {}) and "/OpenAction" not in root


def test_the_file_bears_the_date_of_the_letter_and_not_of_the_machine(ct_letter):
    information = PdfFileReader(io.BytesIO(render(ct_letter))).trailer["/Info"]
    assert information["/CreationDate"] == "D:20260502023000Z" == information["/ModDate"]
    assert information["/Title"] == "青禾县人民医院 CT 诊断报告单 CT20260502-000123"


def test_the_same_letter_gives_the_same_bytes(ct_letter, ecg_letter):
    for letter in (ct_letter, ecg_letter):
        assert render(letter) == render(letter)
    assert render(ct_letter) != render(dataclasses.replace(ct_letter, findings="未见异常。"))


@pytest.mark.peers
def test_what_looks_like_markup_is_printed_as_it_was_typed(ct_letter, poppler):
    hostile = '#panic("x") $x^2$ *粗* _斜_ `raw` @ref <b> = 标题 \\u{41} #import "/etc/passwd": * // 注 /* ]}'
    text = poppler("pdftotext", render(dataclasses.replace(
        ct_letter, findings=hostile, impression=hostile, patient_name=hostile[:30], device="]#eval(\"1\")[",
        key_images=(KeyImage('#read("letter.typ")', picture()),))))
    assert close(text).count(close(hostile)) == 2
    assert 'panic("x")$x^2$' in close(text) and '#read("letter.typ")' in close(text)


@pytest.mark.peers
def test_controls_and_direction_overrides_vanish_and_rare_characters_stay(ct_letter, poppler):
    letter = dataclasses.replace(ct_letter, patient_name="䶮\u202e\x00𠮷\u200b㛃\ufe0f", findings="甲\x07乙\r\n丙\u2028丁")
    text = close(poppler("pdftotext", render(letter)))
    assert "䶮𠮷㛃" in text and "甲乙丙丁" in text
    assert missing_glyphs(letter) == ()


@pytest.mark.peers
def test_a_character_without_a_glyph_is_shown_as_geta_and_named(ct_letter, poppler):
    letter = dataclasses.replace(ct_letter, patient_name="王\u202e𪚥\ue863", recommendation="复查😀")
    found = missing_glyphs(letter)
    assert [(each.field, each.missing.code_point, each.missing.position) for each in found] == [
        ("patient_name", "U+2A6A5", 1), ("patient_name", "U+E863", 2), ("recommendation", "U+1F600", 2)]
    text = close(poppler("pdftotext", render(letter)))
    assert "王〓〓" in text and "复查〓" in text
    assert "注：字体缺字以〓代替：姓名第2字U+2A6A5；姓名第3字U+E863；建议第3字U+1F600。" in text


@pytest.mark.peers
def test_long_text_flows_to_numbered_pages_that_name_the_patient(ct_letter, poppler):
    letter = dataclasses.replace(ct_letter, findings="\n".join(f"第 {n} 段，未见异常。" for n in range(120)),
                                 patient_id="X" * 64, device="D" * 200, impression="A" * 3000)
    pdf = render(letter)
    pages = poppler("pdftotext", pdf).split("\f")[:-1]
    assert len(pages) >= 3
    for number, page in enumerate(pages, start=1):
        assert f"第{number}页共{len(pages)}页" in close(page)
        assert "测试甲" in page and "CT20260502-000123" in page
    whole = close(poppler("pdftotext", pdf, "-raw"))
    assert "X" * 64 in whole and "D" * 200 in whole and whole.count("A") >= 3000
    assert all(f"第{n}段" in whole for n in range(120))


@pytest.mark.peers
def test_nothing_is_printed_outside_the_paper(ct_letter, poppler):
    letter = dataclasses.replace(ct_letter, patient_id="X" * 64, device="D" * 200, accession_number="A" * 64,
                                 institution_zh="县" * 80, title="报" * 60, clinic="W" * 90, impression="A" * 500)
    boxes = poppler("pdftotext", render(letter), "-bbox")
    words = re.findall(r'<word xMin="([-\d.]+)" yMin="([-\d.]+)" xMax="([-\d.]+)" yMax="([-\d.]+)"', boxes)
    assert words
    for left, top, right, bottom in (tuple(map(float, each)) for each in words):
        assert 30 <= left and right <= 595.3 - 30 and 10 <= top and bottom <= 841.9 - 10


@pytest.mark.peers
@pytest.mark.parametrize("size_mm", [(277, 190), (297, 210), (420, 297)])
def test_a_hundred_millimetres_on_the_sheet_are_a_hundred_millimetres_on_the_page(
        ecg_letter, poppler, tmp_path, size_mm):
    pdf = render(dataclasses.replace(ecg_letter, ecg_sheet_svg=sheet(*size_mm)))
    assert sizes_mm(pdf) == [(210.0, 297.0), (float(max(size_mm[0], 297)), float(max(size_mm[1], 210)))]
    poppler("pdftoppm", pdf, "-r", "254", "-f", "2", "-gray")
    (page,) = tmp_path.glob("page-*2.pgm")
    image = Image.open(page)
    middle = round(10 * ((image.height / 10 - size_mm[1]) / 2 + 100))
    line = image.crop((0, middle - 1, image.width, middle + 1)).point(lambda grey: 255 * (grey < 128)).getbbox()
    left_mm, right_mm = line[0] / 10, line[2] / 10
    assert right_mm - left_mm == pytest.approx(100, abs=0.15)
    assert left_mm == pytest.approx((image.width / 10 - size_mm[0]) / 2 + 40, abs=0.15)


@pytest.mark.peers
def test_a_loose_ecg_sheet_still_says_whose_it_is(ecg_letter, poppler):
    for size_mm in ((277, 190), (297, 210)):
        pdf = render(dataclasses.replace(ecg_letter, ecg_sheet_svg=sheet(*size_mm)))
        second = close(poppler("pdftotext", pdf, "-f", "2"))
        assert "䶮𠮷" in second and "ECG20260502-0009" in second and "第2页共2页" in second
        assert "25mm/s10mm/mV" in second


def test_the_words_on_the_sheet_keep_their_weight_and_lose_no_character():
    found = prepare_sheet(sheet(words='甲<tspan font-weight="bold">乙</tspan>𪚥'))
    assert [each.code_point for each in found.missing] == ["U+2A6A5"]
    drawn = found.svg.decode()
    assert "〓" in drawn and "'wght' 700" in drawn and "'wght' 400" in drawn
    assert (found.width_mm, found.height_mm) == (277.0, 190.0)


@pytest.mark.parametrize("svg", [
    b"", b"not xml", b"<svg/>", sheet().replace(b"277mm", b"277px"), sheet().replace(b'width="277mm"', b""),
    b'<!DOCTYPE svg [<!ENTITY a "b">]>' + sheet(), sheet().replace(b"277mm", b"0mm"),
])
def test_a_sheet_that_cannot_be_true_to_scale_is_refused(ecg_letter, svg):
    with pytest.raises(Invalid) as refusal:
        render(dataclasses.replace(ecg_letter, ecg_sheet_svg=svg))
    assert refusal.value.code == "letter.sheet"


@pytest.mark.parametrize("image", [b"", b"GIF89a....", picture()[:200], picture("JPEG")[:150]])
def test_a_broken_key_image_is_refused_by_its_number(ct_letter, image):
    with pytest.raises(Invalid) as refusal:
        render(dataclasses.replace(ct_letter, key_images=(KeyImage("", picture()), KeyImage("", image))))
    assert refusal.value.code == "letter.image" and "第 2 幅" in refusal.value.zh


def test_an_image_that_unpacks_beyond_bounds_is_refused(ct_letter):
    stored = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stored, "PNG")
    with pytest.raises(Invalid) as refusal:
        render(dataclasses.replace(ct_letter, key_images=(KeyImage("", stored.getvalue()),)))
    assert refusal.value.code == "letter.image"


@pytest.mark.parametrize("field", ["impression", "report_physician", "patient_name", "report_number", "title"])
@pytest.mark.parametrize("empty", ["", " \n", "\x00\u200b"])
def test_a_report_without_its_essentials_is_not_printed(ct_letter, field, empty):
    with pytest.raises(Invalid) as refusal:
        render(dataclasses.replace(ct_letter, **{field: empty}))
    assert refusal.value.code == "letter.incomplete" and field in refusal.value.en


def test_a_qr_code_that_cannot_hold_its_content_is_refused(ct_letter):
    with pytest.raises(Invalid) as refusal:
        render(dataclasses.replace(ct_letter, qr_content="x" * 5000))
    assert refusal.value.code == "letter.qr"


def test_text_beyond_all_measure_is_refused(ct_letter):
    with pytest.raises(Invalid) as refusal:
        render(dataclasses.replace(ct_letter, measurements=(Measurement("心率", "9" * 20_001),)))
    assert refusal.value.code == "letter.too_long"


def test_a_missing_typeface_is_said_and_not_replaced(ct_letter, monkeypatch):
    monkeypatch.setattr("hub.delivery.typeface.PACKAGE", "no_such_fonts")
    with pytest.raises(Permanent) as refusal:
        render(ct_letter)
    assert refusal.value.code == "letter.font_missing"
