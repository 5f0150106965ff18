"""A letter is signed: PAdES baseline B, with the hub's own certificate, as an incremental update.

The bytes that were typeset stay as they are at the head of the file; the signature covers the whole file
and certifies it against any later change (DocMDP, no changes allowed). Who read and who reviewed stands in
the signature dictionary in Chinese. There is no time-stamp server in a county network: the time is the
hub's clock, passed in, and counts as the signer's own statement.
"""

import asyncio
import io
from datetime import datetime

from asn1crypto import keys, pem, x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError, PdfReadError
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko_certvalidator.registry import SimpleCertificateStore

from hub.delivery.authority import Authority
from hub.errors import Conflict, Invalid, Permanent

FIELD = "ReportSignature"


def sign_pdf(pdf: bytes, authority: Authority, reader: str, reviewer: str, signed_at: datetime) -> bytes:
    """The same document with one signature over all of it.

    ``reader`` is the reporting physician, ``reviewer`` the reviewing one, empty where one physician signs
    alone; ``signed_at`` has a time zone. Raises Invalid ``signature.time`` (no time zone, or outside the
    certificate's validity), ``signature.reader`` (empty), ``signature.pdf`` (not a PDF that can be signed);
    Conflict ``signature.twice`` (it bears a signature already); Permanent ``signature.failed``.
    """
    certificate = x509.Certificate.load(pem.unarmor(authority.signing_pem)[2])
    _check(certificate, reader, signed_at)
    try:
        writer = _Update(io.BytesIO(pdf))
        signed_before = len(writer.prev.embedded_signatures) > 0
    except (PdfError, ValueError, KeyError, TypeError) as error:
        raise Invalid("signature.pdf", "这不是完好的 PDF 文件，无法签名。请重新生成报告文件。",
                      f"This is no sound PDF and cannot be signed: {error}") from error
    if signed_before:
        raise Conflict("signature.twice", "该文件已有签名；修订请签发新版本。",
                       "The document is signed already; issue a new version to amend it.")
    signer = _signer(authority, certificate)
    metadata = PdfSignatureMetadata(
        field_name=FIELD, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES,
        certify=True, docmdp_permissions=MDPPerm.NO_CHANGES,
        name=f"报告医师 {reader}" + (f"；审核医师 {reviewer}" if reviewer else ""),
        reason="签发诊断报告" if reviewer else "签发诊断报告（单签）",
        location=certificate.subject.native.get("organization_name", ""),
    )
    try:
        return asyncio.run(_sign(writer, PdfSigner(metadata, signer=signer), signed_at))
    except (SigningError, PdfReadError, PdfError) as error:
        raise Permanent("signature.failed", "签名未能完成，报告未签发。请联系管理员。",
                        f"Signing failed, nothing was issued: {error}") from error


class _Update(IncrementalPdfFileWriter):
    """An update that leaves the document's metadata as they were typeset: PDF/A identification and dates."""

    def _update_meta(self) -> None:
        return None


def _check(certificate: x509.Certificate, reader: str, signed_at: datetime) -> None:
    if not reader.strip():
        raise Invalid("signature.reader", "缺少报告医师，无法签名。", "No reporting physician was named.")
    if signed_at.tzinfo is None:
        raise Invalid("signature.time", "签名时间没有时区。", "signed_at has no time zone.")
    if not certificate.not_valid_before <= signed_at <= certificate.not_valid_after:
        raise Invalid("signature.time",
                      "签名时间不在签名证书有效期内；请核对服务器时钟与证书。",
                      "The time lies outside the certificate's validity; check the clock and the certificate.")


def _signer(authority: Authority, certificate: x509.Certificate) -> SimpleSigner:
    root = x509.Certificate.load(pem.unarmor(authority.root_pem)[2])
    store = SimpleCertificateStore()
    store.register(root)
    key = keys.PrivateKeyInfo.load(pem.unarmor(authority.signing_key_pem)[2])
    return SimpleSigner(signing_cert=certificate, signing_key=key, cert_registry=store, embed_roots=True)


async def _sign(writer: IncrementalPdfFileWriter, pdf_signer: PdfSigner, signed_at: datetime) -> bytes:
    """The steps of PdfSigner.async_sign_pdf, with the hub's clock in place of the machine's."""
    session = pdf_signer.init_signing_session(writer)
    session.system_time = signed_at
    reserved = await session.estimate_signature_container_size(validation_info=None)
    document = session.prepare_tbs_document(validation_info=None, bytes_reserved=reserved)
    prepared, output = document.digest_tbs_document()
    finished = await document.perform_signature(
        document_digest=prepared.document_digest,
        pdf_cms_signed_attrs=PdfCMSSignedAttributes(signing_time=signed_at),
    )
    await finished.post_signature_processing(output)
    return output.getvalue()
