"""Signed reports before an outside judge (poppler's pdfsig) and the authority's own promises."""

import dataclasses
import io
import stat
import threading
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from pyhanko.pdf_utils.reader import PdfFileReader

from hub.delivery.authority import ensure_authority
from hub.delivery.letter import render
from hub.delivery.signature import sign_pdf
from hub.errors import Conflict, Invalid, Permanent
from tests.hub.delivery.conftest import ISSUED_AT


@pytest.mark.peers
def test_pdfsig_finds_the_signature_valid_and_the_document_whole(signed_report, poppler):
    said = poppler("pdfsig", signed_report, "-nocert")
    assert "Signature is Valid." in said and "Total document signed" in said
    assert "ETSI.CAdES.detached" in said and "SHA-256" in said
    assert "青禾县人民医院" in said
    assert said.count("Signature #") == 1


@pytest.mark.peers
def test_pdfsig_sees_one_changed_byte(signed_report, poppler):
    tampered = bytearray(signed_report)
    tampered[len(tampered) // 3] ^= 1
    assert "Signature is Valid." not in poppler("pdfsig", bytes(tampered), "-nocert")


@pytest.mark.peers
def test_the_signed_file_still_reads_as_the_letter(signed_report, ct_letter, poppler):
    assert poppler("pdftotext", signed_report) == poppler("pdftotext", render(ct_letter))


def test_signing_only_appends_and_keeps_the_pdf_a_identification(signed_report, ct_letter):
    unsigned = render(ct_letter)
    assert signed_report.startswith(unsigned)
    root = PdfFileReader(io.BytesIO(signed_report)).root
    assert root["/Metadata"].data == PdfFileReader(io.BytesIO(unsigned)).root["/Metadata"].data
    assert b"<pdfaid:part>2</pdfaid:part>" in root["/Metadata"].data
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    widget, = (each.get_object() for each in root["/AcroForm"]["/Fields"])
    # PDF/A-2 6.3: printed, not hidden, and no appearance is needed where the rectangle is empty
    assert widget["/F"] & 4 and not widget["/F"] & 2 and [float(edge) for edge in widget["/Rect"]] == [0, 0, 0, 0]
    assert "/NeedAppearances" not in root["/AcroForm"]


def test_who_read_and_who_reviewed_stands_in_the_signature(signed_report, ct_letter, authority):
    (signature,) = PdfFileReader(io.BytesIO(signed_report)).embedded_regular_signatures
    assert signature.sig_object["/Name"] == "报告医师 甲医师；审核医师 乙主任"
    assert signature.sig_object["/Location"] == "青禾县人民医院"
    assert signature.sig_object["/Reason"] == "签发诊断报告"
    assert signature.self_reported_timestamp == ISSUED_AT
    alone = PdfFileReader(io.BytesIO(sign_pdf(render(ct_letter), authority, "甲医师", "", ISSUED_AT)))
    assert alone.embedded_regular_signatures[0].sig_object["/Reason"] == "签发诊断报告（单签）"


def test_a_signed_report_is_not_signed_again(signed_report, authority):
    with pytest.raises(Conflict) as refusal:
        sign_pdf(signed_report, authority, "甲医师", "", ISSUED_AT)
    assert refusal.value.code == "signature.twice"


@pytest.mark.parametrize("rubbish", [b"", b"%PDF-1.7\n%%EOF", b"hello" * 100])
def test_what_is_no_pdf_is_not_signed(authority, rubbish):
    with pytest.raises(Invalid) as refusal:
        sign_pdf(rubbish, authority, "甲医师", "", ISSUED_AT)
    assert refusal.value.code == "signature.pdf"


@pytest.mark.parametrize("when", [ISSUED_AT - timedelta(days=1), ISSUED_AT + timedelta(days=366 * 31),
                                  datetime(2026, 5, 2)])
def test_a_time_outside_the_certificate_is_refused(ct_letter, authority, when):
    with pytest.raises(Invalid) as refusal:
        sign_pdf(render(ct_letter), authority, "甲医师", "", when)
    assert refusal.value.code == "signature.time"


def test_the_authority_is_made_once_and_found_again(tmp_path):
    first = ensure_authority(tmp_path / "a", "某县医院", ISSUED_AT)
    again = ensure_authority(tmp_path / "a", "另一名称", ISSUED_AT + timedelta(days=900))
    assert dataclasses.asdict(first) == dataclasses.asdict(again)
    assert "PRIVATE" not in repr(first)
    for key in ("root_key.pem", "signing_key.pem"):
        assert stat.S_IMODE((tmp_path / "a" / key).stat().st_mode) == 0o600
    root = x509.load_pem_x509_certificate(first.root_pem)
    signing = x509.load_pem_x509_certificate(first.signing_pem)
    signing.verify_directly_issued_by(root)
    assert signing.not_valid_after_utc - ISSUED_AT >= timedelta(days=30 * 365)
    assert signing.extensions.get_extension_for_class(x509.KeyUsage).value.content_commitment
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_two_first_starts_agree_on_one_authority(tmp_path):
    made = []
    starts = [threading.Thread(target=lambda: made.append(ensure_authority(tmp_path / "a", "县医院", ISSUED_AT)))
              for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(made) == 2 and made[0] == made[1]


def test_a_damaged_authority_is_reported_and_never_replaced(tmp_path):
    folder = tmp_path / "a"
    ensure_authority(folder, "县医院", ISSUED_AT)
    kept = (folder / "signing.pem").read_bytes()
    (folder / "root_key.pem").write_bytes(b"")
    with pytest.raises(Permanent) as refusal:
        ensure_authority(folder, "县医院", ISSUED_AT)
    assert refusal.value.code == "authority.damaged"
    (folder / "root_key.pem").unlink()
    with pytest.raises(Permanent):
        ensure_authority(folder, "县医院", ISSUED_AT)
    assert (folder / "signing.pem").read_bytes() == kept


def test_a_key_that_others_may_read_stops_the_signing(tmp_path):
    ensure_authority(tmp_path / "a", "县医院", ISSUED_AT)
    (tmp_path / "a" / "signing_key.pem").chmod(0o644)
    with pytest.raises(Permanent) as refusal:
        ensure_authority(tmp_path / "a", "县医院", ISSUED_AT)
    assert refusal.value.code == "authority.exposed"


@pytest.mark.parametrize("name", ["", "  ", "县" * 65])
def test_an_institution_that_no_certificate_can_carry_is_refused(tmp_path, name):
    with pytest.raises(Invalid):
        ensure_authority(tmp_path / "a", name, ISSUED_AT)
    assert list(tmp_path.iterdir()) == []
