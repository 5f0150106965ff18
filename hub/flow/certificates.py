"""The certificates of the DICOM network: one root of the hub's own, its server certificate, one for each device that asks.

They have nothing to do with the authority that signs reports (hub.delivery.authority): whoever holds a device's key
can connect as that device, and can sign nothing. The root (``network/root.pem``) is public: it is what a device needs to
know the hub. Keys are RSA 3072 (RFC 9325 4.5), readable by the hub's own user only; a device's key is handed out once
and kept nowhere.
"""
from __future__ import annotations

import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.context import Hub
from hub.errors import Permanent
from hub.flow import device_changes, devices
from hub.model.access import Actor

KEY_BITS = 3072
ROOT_LASTS = timedelta(days=30 * 365)
LEAF_LASTS = timedelta(days=10 * 365)
BACKDATED = timedelta(hours=1)
FILES = ("root.pem", "root_key.pem", "server.pem", "server_key.pem")


@dataclass(frozen=True)
class NetworkKeys:
    """Where the PEM files lie."""

    root: Path
    root_key: Path
    server: Path
    server_key: Path


def network_keys(hub: Hub) -> NetworkKeys:
    """The hub's own network certificates, made at the first call. Permanent when they are incomplete or damaged."""
    folder = hub.keys_folder / "network"
    if not folder.is_dir():
        _make(hub, folder)
    keys = NetworkKeys(*(folder / name for name in FILES))
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise Permanent("network_keys.damaged", f"网络证书目录 {folder} 不完整（缺 {'、'.join(missing)}）。请从备份恢复。",
                        f"the network certificates in {folder} are incomplete ({', '.join(missing)}); restore them from a backup.")
    return keys


def issue(hub: Hub, actor: Actor, device_id: int) -> bytes:
    """A private key and certificate for one device as PEM, shown once; the device is bound to it, an older one ends."""
    row = devices.find(hub, actor, device_id)
    keys = network_keys(hub)
    try:
        root = x509.load_pem_x509_certificate(keys.root.read_bytes())
        root_key = serialization.load_pem_private_key(keys.root_key.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise Permanent("network_keys.damaged", "网络根证书或私钥已损坏，请从备份恢复。", f"the network root is damaged: {error}") from error
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = _name(hub.settings.institution_zh, f"{row.ae_title} {device_id}")
    made = (_begun(name, root.subject, key, hub.now(), LEAF_LASTS, root_key)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(root_key, hashes.SHA256()))
    device_changes.bind_certificate(hub, actor, device_id, made.fingerprint(hashes.SHA256()).hex())
    return _pem(key) + made.public_bytes(serialization.Encoding.PEM)


def _make(hub: Hub, folder: Path) -> None:
    """Everything in a folder beside, then one rename: two processes that start together agree on one."""
    institution, now = hub.settings.institution_zh, hub.now()
    root_key, server_key = (rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS) for _ in range(2))
    root_name = _name(institution, "DICOM 网络根证书")
    root = (x509.CertificateBuilder().subject_name(root_name).issuer_name(root_name).public_key(root_key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - BACKDATED).not_valid_after(now + ROOT_LASTS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
            .sign(root_key, hashes.SHA256()))
    server = (_begun(_name(institution, hub.settings.dicom_ae_title), root_name, server_key, now, LEAF_LASTS, root_key)
              .add_extension(x509.SubjectAlternativeName(_own_names(hub)), critical=False)
              .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
              .sign(root_key, hashes.SHA256()))
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".network-", dir=folder.parent))
    try:
        for name, content in zip(FILES, (root.public_bytes(serialization.Encoding.PEM), _pem(root_key),
                                         server.public_bytes(serialization.Encoding.PEM), _pem(server_key))):
            handle = os.open(beside / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if "key" in name else 0o644)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        try:
            beside.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _begun(name: x509.Name, issuer: x509.Name, key, now: datetime, lasts: timedelta, root_key) -> x509.CertificateBuilder:
    return (x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - BACKDATED).not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False))


def _own_names(hub: Hub) -> list[x509.GeneralName]:
    """The names and addresses under which a device may know this machine."""
    found: dict[x509.GeneralName, None] = {}
    for text in ("localhost", socket.gethostname(), urlsplit(hub.settings.address).hostname or "", hub.settings.dicom_host):
        try:
            address = ip_address(text)
            if not address.is_unspecified:
                found[x509.IPAddress(address)] = None
        except ValueError:
            if text and text.isascii():
                found[x509.DNSName(text)] = None
    return list(found)


def _name(institution: str, common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, institution[:64]), x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _usage(*, signs: bool) -> x509.KeyUsage:
    """The root signs certificates only, the others open connections only (RFC 5280 4.2.1.3)."""
    return x509.KeyUsage(digital_signature=not signs, key_encipherment=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
                         data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
