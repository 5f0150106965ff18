"""Frames and bulk data (PS3.18 10.4): the client's Accept header against what there is, cheapest first.

The promise: lossless HTJ2K comes from what was proved at preparation; the sender's compressed bytes go out as
they came; everything else is Explicit VR Little Endian. HTJ2K is offered only where its pixels are those that
the metadata describes (grey, or RGB as stored), never for colours that decoding has changed.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian, UID

from dicom_gateway.prepare.encode import HTJ2K_LOSSLESS_UID, HTJ2K_RPCL_UID, htj2k_lossless
from dicom_gateway.web.accept import Range
from dicom_gateway.web.multipart import Part
from dicom_gateway.web.pixels import OneFrame, decoded, little_endian, one_frame
from dicom_gateway.web.shelf import Opened
from hub.context import Hub
from hub.errors import Permanent

OCTETS = "application/octet-stream"
NATIVE = str(ExplicitVRLittleEndian)

MEDIA_OF = {       # PS3.18 8.7.3.3.2
    "1.2.840.10008.1.2.5": "image/dicom-rle", "1.2.840.10008.1.2.4.50": "image/jpeg", "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg", "1.2.840.10008.1.2.4.70": "image/jpeg", "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls", "1.2.840.10008.1.2.4.90": "image/jp2", "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx", "1.2.840.10008.1.2.4.93": "image/jpx", "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc", "1.2.840.10008.1.2.4.203": "image/jphc",
}


class NotAcceptable(Permanent):
    """Nothing that the client takes can be given."""


@dataclass(frozen=True)
class Given:
    """One frame to send: the part, a tag that changes with its bytes, and whether the client takes multipart."""

    part: Part
    etag: str
    multipart: bool


@dataclass(frozen=True)
class _Source:
    """A frame of a stored instance and the ways in which it can be had."""

    hub: Hub
    opened: Opened
    instance: object
    index: int

    @cached_property
    def stored(self) -> OneFrame:
        return one_frame(self.hub.blobs.path(self.instance.sha256), self.index)

    @cached_property
    def proved(self):
        """The artifact with the prepared frame, or None where it may not stand for the original."""
        made = self.opened.artifact("prepared", self.instance.id)
        if made is None or not _as_described(made.about):
            return None
        return self.opened.artifact("htj2k", self.instance.id, self.index)

    def ways(self) -> Iterator[tuple[str, Callable[[], tuple[bytes | Path, int, str]]]]:
        """(transfer syntax, maker of content, size and tag), the one this hub would rather send first."""
        tag = f"{self.instance.sha256[:32]}-{self.index}"
        syntax = UID(self.instance.transfer_syntax or NATIVE)
        if self.proved is not None:
            for prepared in (HTJ2K_LOSSLESS_UID, HTJ2K_RPCL_UID):
                if syntax != prepared:
                    yield prepared, lambda: (self.hub.blobs.path(self.proved.sha256), self.proved.size, self.proved.sha256)
        if syntax.is_encapsulated:
            yield str(syntax), lambda: _sized(self.stored.stored, f"{tag}-s")
        yield NATIVE, lambda: _sized(little_endian(self.stored, self.index), f"{tag}-n")
        photometric = str(self.stored.header.get("PhotometricInterpretation") or "")
        if self.proved is None and syntax != HTJ2K_LOSSLESS_UID and (photometric.startswith("MONO") or photometric == "RGB"):
            for prepared in (HTJ2K_LOSSLESS_UID, HTJ2K_RPCL_UID):
                yield prepared, lambda: _sized(htj2k_lossless(decoded(self.stored, self.index)), f"{tag}-h")


def frame_given(hub: Hub, opened: Opened, instance, index: int, accepted: Sequence[Range], location: str = "") -> Given:
    """Frame ``index`` (from 0) in the best form the client takes. NotAcceptable where there is none."""
    source = _Source(hub, opened, instance, index)
    for one in accepted:
        for syntax, make in source.ways():
            media = _media(one, syntax)
            if media is not None:
                content, size, etag = make()
                return Given(Part(f"{media}; transfer-syntax={syntax}", content, size, location), etag, one.multipart or one.media == "*/*")
    raise NotAcceptable("not_acceptable", "没有客户端可接受的图像格式。",
                        "none of the accepted media types can be given; available: " + ", ".join(dict.fromkeys(syntax for syntax, _ in source.ways())))


def _media(one: Range, syntax: str) -> str | None:
    """The media type under which this range takes this transfer syntax, or None.

    Without a transfer syntax, octets mean Explicit VR Little Endian and an image type any of its own
    (PS3.18 8.7.3.3); "*" leaves the choice to the hub.
    """
    own = MEDIA_OF.get(syntax, OCTETS if syntax == NATIVE else None)
    if one.syntax not in ("", "*", syntax):
        return None
    if one.covers(OCTETS) and (one.syntax or syntax == NATIVE):
        return OCTETS
    return own if own not in (None, OCTETS) and one.media != "*/*" and one.covers(own) else None


def _as_described(about: dict) -> bool:
    """Whether the prepared pixels are those that the stored attributes describe."""
    return about.get("photometric", "").startswith("MONO") or about.get("stored_photometric") == "RGB"


def _sized(content: bytes, etag: str) -> tuple[bytes, int, str]:
    return content, len(content), etag
