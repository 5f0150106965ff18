"""Two letters as a county centre would issue them, one authority, and the poppler tools as the outside eye."""

import io
import shutil
import subprocess
from datetime import datetime, timezone

import pytest
from PIL import Image, ImageDraw

from hub.delivery.authority import Authority, ensure_authority
from hub.delivery.letter import Amendment, KeyImage, Letter, Measurement, render
from hub.delivery.signature import sign_pdf

ISSUED_AT = datetime(2026, 5, 2, 2, 30, tzinfo=timezone.utc)


def picture(kind: str = "PNG") -> bytes:
    """A grey disc on black, 256 x 256."""
    image = Image.new("L", (256, 256), 0)
    ImageDraw.Draw(image).ellipse((60, 80, 180, 200), fill=200)
    stored = io.BytesIO()
    image.save(stored, kind)
    return stored.getvalue()


def sheet(width_mm: float = 277, height_mm: float = 190, words: str = "25 mm/s 10 mm/mV") -> bytes:
    """A sheet whose only dark line is exactly 100 mm long, 0.4 mm thick."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_mm}mm" height="{height_mm}mm" '
        f'viewBox="0 0 {width_mm} {height_mm}"><rect x="40" y="99.8" width="100" height="0.4" fill="black"/>'
        f'<text x="10" y="20" font-size="4">{words}</text></svg>'
    ).encode()


@pytest.fixture
def ct_letter() -> Letter:
    return Letter(
        institution_zh="青禾县人民医院", institution_en="QINGHE COUNTY PEOPLE'S HOSPITAL",
        title="CT 诊断报告单", report_number="CT20260502-000123", issued_at=ISSUED_AT,
        patient_name="测试甲", patient_sex="男", patient_age="63 岁", patient_birth_date="1963-02-11",
        patient_id="QH00012345", clinic="柳河镇中心卫生院", accession_number="A20260502017",
        modality="CT 平扫", body_part="胸部", study_time="2026-05-02 09:14", device="Brilliance 16",
        clinical_information="咳嗽两月。", completeness="基于 64/64 幅，无间断",
        findings="左肺上叶见一肿块影，约 46 mm × 38 mm。\n双侧胸腔未见积液。",
        impression="1. 左肺上叶占位。\n2. 主动脉硬化。", recommendation="建议增强扫描。", positive=True,
        report_physician="甲医师", report_time="2026-05-02 10:12",
        review_physician="乙主任", review_time="2026-05-02 10:28", recognition_mark="山东 HR",
        verification_text="报告验证码 7K4Q-92XD", qr_content="https://hub.example/v/CT20260502-000123",
        key_images=(KeyImage("图一 肺窗", picture()), KeyImage("图二 纵隔窗", picture("JPEG"))),
    )


@pytest.fixture
def ecg_letter() -> Letter:
    return Letter(
        institution_zh="青禾县人民医院", title="心电图诊断报告单", report_number="ECG20260502-0009",
        issued_at=ISSUED_AT, patient_name="䶮𠮷", impression="急性下壁心肌梗死可能。", critical=True,
        report_physician="甲医师", report_time="2026-05-02 09:20", version=2,
        amendment=Amendment("首版漏写导联脱落。", "第 1 版（2026-05-02 09:20 签发）"),
        emergency_note="急诊单签：待二十四小时内补审。",
        measurements=(Measurement("心率", "92", "次/分"), Measurement("PR 间期", "168", "ms"),
                      Measurement("QRS 电轴", "-31", "°")),
        ecg_sheet_svg=sheet(),
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    return ensure_authority(tmp_path_factory.mktemp("hub") / "authority", "青禾县人民医院", ISSUED_AT)


@pytest.fixture
def signed_report(ct_letter, authority) -> bytes:
    return sign_pdf(render(ct_letter), authority, "甲医师", "乙主任", ISSUED_AT)


@pytest.fixture
def poppler(tmp_path):
    """Run a poppler tool over PDF bytes and return what it prints; skips where the tool is not installed."""

    def run(tool: str, pdf: bytes, *options: str) -> str:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (Debian package poppler-utils)")
        path = tmp_path / "report.pdf"
        path.write_bytes(pdf)
        last = ("-",) if tool == "pdftotext" else (str(tmp_path / "page"),) if tool == "pdftoppm" else ()
        done = subprocess.run([shutil.which(tool), *options, str(path), *last], capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return run
