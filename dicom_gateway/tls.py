"""DICOM over TLS: the BCP 195 profile of PS3.15 (RFC 9325), as a server and as a client.

TLS 1.2 with ephemeral keys and authenticated encryption, or TLS 1.3; nothing weaker is negotiated (RFC 9325 3.1.1, 4.2).
A client's certificate is believed where the hub's own network authority or one that the settings name has signed it;
host names are not compared, for devices rarely have one.
"""
from __future__ import annotations

import hashlib
import socket
import ssl
from pathlib import Path

from hub.context import Hub
from hub.errors import Permanent
from hub.flow.certificates import network_keys

CIPHERS = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384")  # RFC 9325 4.2
LEAST = ssl.TLSVersion.TLSv1_2
HANDSHAKE_S = 10.0


def server_context(hub: Hub) -> ssl.SSLContext:
    """What the TLS port speaks. Permanent where certificate and key cannot be used."""
    context = _context(hub, ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = {"off": ssl.CERT_NONE, "ask": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}[hub.settings.dicom_tls_clients]
    return context


def client_context(hub: Hub) -> ssl.SSLContext:
    """How the hub calls a destination: it shows its own certificate and believes only those that it trusts."""
    context = _context(hub, ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def tls_args(hub: Hub, is_encrypted: bool) -> tuple[ssl.SSLContext, None] | None:
    """What pynetdicom's ``associate`` wants as ``tls_args``."""
    return (client_context(hub), None) if is_encrypted else None


def fingerprint(line: socket.socket) -> str:
    """The SHA-256 of the peer's certificate in hexadecimal digits, "" where it showed none."""
    shown = line.getpeercert(binary_form=True) if isinstance(line, ssl.SSLSocket) else None
    return hashlib.sha256(shown).hexdigest() if shown else ""


def described(line: socket.socket) -> str:
    """Protocol and cipher of a connection for people, "" where it is not encrypted."""
    cipher = line.cipher() if isinstance(line, ssl.SSLSocket) else None
    return f"{line.version()} {cipher[0]}"[:64] if cipher else ""


def own_certificate(hub: Hub) -> tuple[Path, Path]:
    """The files of the certificate that the hub shows, and of its key."""
    if hub.settings.dicom_tls_certificate:
        return Path(hub.settings.dicom_tls_certificate), Path(hub.settings.dicom_tls_key)
    keys = network_keys(hub)
    return keys.server, keys.server_key


def _context(hub: Hub, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = LEAST
    context.set_ciphers(":".join(CIPHERS))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    certificate, key = own_certificate(hub)
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(network_keys(hub).root)
        if hub.settings.dicom_tls_trusted:
            context.load_verify_locations(hub.settings.dicom_tls_trusted)
    except (OSError, ssl.SSLError) as error:
        raise Permanent("bad_certificate", f"TLS 证书或私钥无法使用：{error}。请检查 dicom_tls_certificate、dicom_tls_key、dicom_tls_trusted。",
                        f"the TLS certificate or key cannot be used: {error}; see dicom_tls_certificate, dicom_tls_key, dicom_tls_trusted.") from error
    return context
