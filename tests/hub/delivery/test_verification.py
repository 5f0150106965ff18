"""Every way a report may have been changed, and what the verdict says of it."""

import io
import random
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader

from hub.delivery.authority import ensure_authority
from hub.delivery.letter import render
from hub.delivery.signature import sign_pdf
from hub.delivery.verification import verify_pdf
from hub.errors import Invalid
from tests.hub.delivery.conftest import ISSUED_AT


def test_an_untouched_report_is_valid_and_says_who_and_when(signed_report, authority):
    verdict = verify_pdf(signed_report, [authority.root_pem])
    assert verdict.valid and verdict.code == "valid"
    assert verdict.covers_whole_document and not verdict.changed_after_signing
    assert verdict.signed_at == ISSUED_AT and "青禾县人民医院" in verdict.signed_by
    assert "签名有效" in verdict.zh and "甲医师" in verdict.zh and "Valid" in verdict.en


def test_a_root_may_be_given_in_der(signed_report, authority):
    der = x509.load_pem_x509_certificate(authority.root_pem).public_bytes(Encoding.DER)
    assert verify_pdf(signed_report, [der]).valid


def test_the_root_inside_the_file_is_not_trusted_by_itself(signed_report):
    verdict = verify_pdf(signed_report, [])
    assert verdict.code == "unknown_signer" and not verdict.valid and "不是受信任" in verdict.zh


def test_another_authority_of_the_same_name_is_not_trusted(ct_letter, authority, tmp_path):
    other = ensure_authority(tmp_path / "other", "青禾县人民医院", ISSUED_AT)
    forged = sign_pdf(render(ct_letter), other, "甲医师", "乙主任", ISSUED_AT)
    assert verify_pdf(forged, [authority.root_pem]).code == "unknown_signer"
    assert verify_pdf(forged, [authority.root_pem, other.root_pem]).valid


def test_an_unsigned_letter_proves_nothing(ct_letter, authority):
    verdict = verify_pdf(render(ct_letter), [authority.root_pem])
    assert verdict.code == "unsigned" and not verdict.valid and "未签名" in verdict.zh


def test_an_altered_page_is_seen(signed_report, authority):
    at = signed_report.index(b"stream\n") + 40
    tampered = signed_report[:at] + bytes([signed_report[at] ^ 1]) + signed_report[at + 1:]
    verdict = verify_pdf(tampered, [authority.root_pem])
    assert verdict.code == "altered" and verdict.changed_after_signing and "已被改动" in verdict.zh


def test_any_changed_byte_anywhere_makes_the_report_not_valid(signed_report, authority):
    chance = random.Random(20260502)
    (signature,) = PdfFileReader(io.BytesIO(signed_report)).embedded_regular_signatures
    _, gap, resumes, _ = (int(each) for each in signature.byte_range)
    places = [chance.randrange(len(signed_report)) for _ in range(60)]
    places += [chance.randrange(gap, resumes) for _ in range(60)]
    places += [chance.randrange(resumes, len(signed_report)) for _ in range(30)] + [gap, resumes - 1]
    for place in places:
        tampered = bytearray(signed_report)
        tampered[place] ^= 1 << chance.randrange(8)
        assert not verify_pdf(bytes(tampered), [authority.root_pem]).valid, place


def test_something_in_the_padding_of_the_signature_is_seen(signed_report, authority):
    (signature,) = PdfFileReader(io.BytesIO(signed_report)).embedded_regular_signatures
    resumes = int(signature.byte_range[2])
    tampered = signed_report[:resumes - 5] + b"ab" + signed_report[resumes - 3:]
    assert verify_pdf(tampered, [authority.root_pem]).code == "altered"


def test_an_appended_update_is_seen(signed_report, authority):
    writer = IncrementalPdfFileWriter(io.BytesIO(signed_report))
    writer.root["/Lang"] = generic.TextStringObject("en")
    writer.update_root()
    changed = io.BytesIO()
    writer.write(changed)
    verdict = verify_pdf(changed.getvalue(), [authority.root_pem])
    assert verdict.code == "appended" and not verdict.covers_whole_document and "追加" in verdict.zh


@pytest.mark.parametrize("more", [b"\n", b"%%EOF\n", b"\x00" * 100])
def test_even_a_meaningless_tail_is_seen(signed_report, authority, more):
    assert not verify_pdf(signed_report + more, [authority.root_pem]).valid


def test_a_truncated_report_is_never_valid_and_never_an_exception(signed_report, authority):
    for length in range(0, len(signed_report), len(signed_report) // 40):
        assert not verify_pdf(signed_report[:length], [authority.root_pem]).valid


def test_rubbish_gets_a_sentence_and_no_exception(authority):
    chance = random.Random(7)
    for junk in (b"", b"%PDF-", b"PK\x03\x04", b"%PDF-1.7\n" + chance.randbytes(5000),
                 b"%PDF-1.7\n1 0 obj<</Prev 0>>endobj\nxref\n0 1\ntrailer<</Root 1 0 R/Prev 9>>\nstartxref\n30\n%%EOF",
                 b"%PDF-1.7\n" + b"[" * 100_000 + b"\nstartxref\n9\n%%EOF"):
        verdict = verify_pdf(junk, [authority.root_pem])
        assert verdict.code in ("not_a_pdf", "unreadable") and verdict.zh and verdict.en


def test_the_old_version_cut_out_of_a_changed_file_verifies_again(signed_report, authority):
    assert verify_pdf((signed_report + b"\nmore")[:len(signed_report)], [authority.root_pem]).valid


def test_a_report_from_the_last_year_of_the_certificate_is_valid(ct_letter, authority):
    late = sign_pdf(render(ct_letter), authority, "甲医师", "", ISSUED_AT + timedelta(days=29 * 365))
    assert verify_pdf(late, [authority.root_pem]).valid


def test_a_root_that_is_no_certificate_is_refused(signed_report):
    with pytest.raises(Invalid) as refusal:
        verify_pdf(signed_report, [b"not a certificate"])
    assert refusal.value.code == "verification.root"
