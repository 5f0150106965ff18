"""The certificates that reports are signed with: one root and one signing certificate for each hub.

They are made once, at first start, and never silently replaced: a hub that lost or damaged them says so
instead of issuing reports under a new name. The root certificate (``root.pem``) is public: it is what a
receiver needs to verify reports. Keys are RSA 3072, readable by the hub's own user only; both certificates
are valid for thirty years, the longest time that inpatient records are kept.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from hub.errors import Invalid, Permanent
from hub.storage.disk import sync_folder

VALID_FOR = timedelta(days=30 * 365 + 7)
BACKDATED = timedelta(minutes=5)
KEY_BITS = 3072
_FILES = ("root.pem", "root_key.pem", "signing.pem", "signing_key.pem")


@dataclass(frozen=True)
class Authority:
    """What signs: certificates as PEM for everybody, the signing key as PEM (PKCS#8) for the hub alone."""

    root_pem: bytes
    signing_pem: bytes
    signing_key_pem: bytes

    def __repr__(self) -> str:
        return "Authority(signing key not shown)"


def ensure_authority(folder: Path, institution: str, now: datetime) -> Authority:
    """The hub's authority in ``folder``, made there if the folder is absent or empty.

    ``institution`` names the certificates (up to 64 characters, X.520), ``now`` (with a time zone) starts
    their validity. Two starts at once agree on one authority. Raises Invalid ``authority.institution``;
    Permanent ``authority.damaged`` (files missing, unreadable or not belonging together) and
    ``authority.exposed`` (a key that others on the machine may read).
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        _make(folder, institution, now)
    return load_authority(folder)


def load_authority(folder: Path) -> Authority:
    """The authority that is in ``folder``; errors as for ensure_authority."""
    try:
        parts = {name: (folder / name).read_bytes() for name in _FILES}
        exposed = [name for name in _FILES if "key" in name and (folder / name).stat().st_mode & 0o077]
    except OSError as error:
        raise _damaged(folder, str(error)) from error
    if exposed:
        raise Permanent("authority.exposed",
                        f"签名私钥 {'、'.join(exposed)} 可被他人读取，已停止签发。请执行 chmod 600 后重试。",
                        f"The private key {', '.join(exposed)} is readable by others; chmod 600 and try again.")
    try:
        root = x509.load_pem_x509_certificate(parts["root.pem"])
        signing = x509.load_pem_x509_certificate(parts["signing.pem"])
        signing.verify_directly_issued_by(root)
        for certificate, name in ((root, "root_key.pem"), (signing, "signing_key.pem")):
            key = serialization.load_pem_private_key(parts[name], password=None)
            if key.public_key() != certificate.public_key():
                raise _damaged(folder, f"{name} does not belong to its certificate")
    except (ValueError, TypeError, InvalidSignature) as error:
        raise _damaged(folder, str(error) or type(error).__name__) from error
    return Authority(parts["root.pem"], parts["signing.pem"], parts["signing_key.pem"])


def _make(folder: Path, institution: str, now: datetime) -> None:
    """Everything in a folder beside, then one rename: there is never half an authority."""
    name = institution.strip()
    if not 1 <= len(name) <= 64:
        raise Invalid("authority.institution", "机构名称须为 1 至 64 个字，用于签名证书。",
                      "The institution's name must have 1 to 64 characters; the certificates carry it.")
    root_key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    signing_key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    root_name = _subject(name, f"{name[:50]} 报告签名根证书")
    root = (
        _certificate(root_name, root_name, root_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    signing = (
        _certificate(_subject(name, f"{name[:50]} 诊断报告签名"), root_name, signing_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signing_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(beside / "root.pem", root.public_bytes(serialization.Encoding.PEM), 0o644)
        _write(beside / "root_key.pem", _key_pem(root_key), 0o600)
        _write(beside / "signing.pem", signing.public_bytes(serialization.Encoding.PEM), 0o644)
        _write(beside / "signing_key.pem", _key_pem(signing_key), 0o600)
        sync_folder(beside)
        try:
            beside.rename(folder)
        except OSError:
            if not folder.is_dir() or not any(folder.iterdir()):
                raise
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _subject(institution: str, common_name: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, institution),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ])


def _certificate(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, now: datetime):
    return (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED).not_valid_after(now + VALID_FOR)
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    """The root signs certificates only; the other signs documents only (RFC 5280 4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=not certificates, content_commitment=not certificates,
        key_cert_sign=certificates, crl_sign=certificates, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _damaged(folder: Path, detail: str) -> Permanent:
    return Permanent("authority.damaged",
                     f"签名证书目录 {folder} 已损坏或不完整（{detail}）。请从备份恢复，不要删除后重建。",
                     f"The signing certificates in {folder} are damaged or incomplete ({detail}); restore them "
                     "from a backup, do not delete them.")
