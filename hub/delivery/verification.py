"""Is this report the one that was signed, and by whom? Answered offline, for any bytes whatever.

Only the roots that are handed in are trusted; what a file carries about itself proves nothing. A report is
valid when one signature covers every byte of it, nothing was changed or appended, and its certificate leads
to one of those roots. Without a time-stamp server the signing time is what the signer stated; the
certificate is judged at that time, so that a report stays valid in the archive after the certificate ends.
"""

import io
import logging
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import cms, pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext

from hub.errors import Invalid

PDF_BYTES_LIMIT = 100_000_000
_log = logging.getLogger(__name__)

_SENTENCES = {
    "valid": (
        "签名有效：文件由“{by}”于 {at} 签发（{name}），签发后未被改动。",
        "Valid: signed by {by} at {at} ({name}) and not changed since.",
    ),
    "not_a_pdf": ("这不是 PDF 文件，无法验证。", "This is not a PDF file; there is nothing to verify."),
    "too_large": ("文件超过 100 MB，未予验证。", "The file is larger than 100 MB and was not examined."),
    "unreadable": (
        "无效：文件已损坏、不完整或结构异常，无法确认签名。请向签发机构重新索取。",
        "Not valid: the file is damaged, incomplete or malformed; ask the issuing institution for it again.",
    ),
    "unsigned": (
        "未签名：文件不含任何电子签名，不能证明由谁签发。",
        "Not signed: the file bears no signature; it does not prove who issued it.",
    ),
    "altered": (
        "无效：签名之后文件内容已被改动。请勿采用，并向签发机构核实。",
        "Not valid: the content was changed after it was signed; do not use it and ask the issuing institution.",
    ),
    "appended": (
        "无效：签名之后文件又追加了内容，签名只覆盖前一部分。请勿采用，并向签发机构核实。",
        "Not valid: something was appended after signing; the signature covers only the earlier part.",
    ),
    "unknown_signer": (
        "无效：签名者“{by}”不是受信任的签发机构，不能证明报告来源。",
        "Not valid: the signer {by} is not a trusted issuing institution.",
    ),
    "out_of_validity": (
        "无效：签名时间 {at} 不在签名证书的有效期内。",
        "Not valid: the signing time {at} lies outside the validity of the certificate.",
    ),
}


@dataclass(frozen=True)
class Verdict:
    """The answer. ``zh`` and ``en`` are for people; ``code`` is one of the keys of the sentences.

    ``signed_by`` is the certificate's name, ``physicians`` and ``reason`` what the signature states, both
    only as good as ``valid`` says. ``signed_at`` is the stated time.
    """

    code: str
    valid: bool
    zh: str
    en: str
    signed_by: str = ""
    physicians: str = ""
    reason: str = ""
    signed_at: datetime | None = None
    covers_whole_document: bool = False
    changed_after_signing: bool = False


def verify_pdf(pdf: bytes, root_certificates: list[bytes]) -> Verdict:
    """Judge any bytes as a signed report. ``root_certificates`` are PEM or DER; an empty list trusts nobody.

    Never raises for the bytes of ``pdf``; raises Invalid ``verification.root`` for a root that is no
    certificate.
    """
    roots = [_certificate(each) for each in root_certificates]
    if len(pdf) > PDF_BYTES_LIMIT:
        return _verdict("too_large")
    if b"%PDF-" not in pdf[:1024]:
        return _verdict("not_a_pdf")
    try:
        return _judge(pdf, roots)
    except Exception:
        # The door for hostile bytes: whatever a malformed file provokes in the parsers, the answer is no.
        _log.info("a PDF could not be examined", exc_info=True)
        return _verdict("unreadable")


def _judge(pdf: bytes, roots: list[x509.Certificate]) -> Verdict:
    reader = PdfFileReader(io.BytesIO(pdf))
    signatures = reader.embedded_regular_signatures
    if not signatures:
        return _verdict("unsigned")
    signature = signatures[0]
    stated = _stated(signature)
    signed_at = signature.self_reported_timestamp
    status = validate_pdf_signature(
        signature,
        ValidationContext(trust_roots=roots, moment=signed_at, allow_fetching=False),
        key_usage_settings=KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}),
        skip_diff=True,
    )
    start, length, resumes, rest = (int(each) for each in signature.byte_range)
    exact = (start == 0 and _signature_fills(pdf[length:resumes], bytes(signature.pkcs7_content))
             and _plain_header(signature.signed_data)
             and _only_needed_certificates(signature, status, roots))
    if resumes + rest < len(pdf) or len(signatures) > 1:
        return _verdict("appended", changed_after_signing=True, **stated)
    if resumes + rest > len(pdf) or not (exact and status.intact and status.valid):
        return _verdict("altered", changed_after_signing=True, **stated)
    return _verdict(_trust(status, signed_at), covers_whole_document=True, **stated)


def _trust(status: PdfSignatureStatus, signed_at: datetime | None) -> str:
    certificate = status.signing_cert
    if signed_at is None or not certificate.not_valid_before <= signed_at <= certificate.not_valid_after:
        return "out_of_validity"
    return "valid" if status.trusted else "unknown_signer"


def _signature_fills(gap: bytes, contents: bytes) -> bool:
    """Nothing may hide in the one place that a signature cannot cover: its own.

    The gap holds the signature as hexadecimal in angle brackets, and after it only the reserved zeros.
    """
    digits = contents.hex().encode()
    used = len(cms.ContentInfo.load(contents).dump())
    return gap in (b"<" + digits + b">", b"<" + digits.upper() + b">") and not any(contents[used:])


def _plain_header(signed: cms.SignedData) -> bool:
    """The few fields that no signature covers say exactly what RFC 5652 5.1 and 5.3 make them say."""
    (info,) = signed["signer_infos"]
    version = "v1" if info["sid"].name == "issuer_and_serial_number" else "v3"
    algorithms = [each.dump() for each in signed["digest_algorithms"]]
    return (info["version"].native == version and signed["version"].native == version
            and algorithms == [info["digest_algorithm"].dump()])


def _only_needed_certificates(signature: EmbeddedPdfSignature, status: PdfSignatureStatus,
                              roots: list[x509.Certificate]) -> bool:
    """Certificates carried along are covered by nothing: each must be on the path to a root, to the byte."""
    if not status.trusted:
        return True
    path = [each for each in status.validation_path if isinstance(each, x509.Certificate)]
    needed = {each.dump() for each in (*roots, *path)}
    return all(each.chosen.dump() in needed for each in signature.signed_data["certificates"])


def _stated(signature: EmbeddedPdfSignature) -> dict:
    """What the signature says of itself."""
    subject = signature.signer_cert.subject.native
    return {
        "signed_by": str(subject.get("common_name") or subject.get("organization_name") or ""),
        "physicians": str(signature.sig_object.get("/Name", "")),
        "reason": str(signature.sig_object.get("/Reason", "")),
        "signed_at": signature.self_reported_timestamp,
    }


def _verdict(code: str, **known) -> Verdict:
    at = known.get("signed_at")
    words = {"by": known.get("signed_by", ""), "name": known.get("physicians", ""),
             "at": at.isoformat(sep=" ", timespec="seconds") if at else "—"}
    zh, en = (sentence.format(**words) for sentence in _SENTENCES[code])
    return Verdict(code=code, valid=code == "valid", zh=zh, en=en, **known)


def _certificate(encoded: bytes) -> x509.Certificate:
    try:
        der = pem.unarmor(encoded)[2] if pem.detect(encoded) else encoded
        certificate = x509.Certificate.load(der, strict=True)
        certificate.subject.native  # asn1crypto reads lazily; a broken certificate shows itself here
        return certificate
    except (ValueError, TypeError) as error:
        raise Invalid("verification.root", "给定的根证书无法读取。",
                      f"A given root certificate cannot be read: {error}") from error
