"""HTTP around what is given: validators, caching, compression, parts and refusals in the two languages."""
from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from flask import Response, jsonify, request, send_file
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import quote_etag

from dicom_gateway.web import multipart, native_xml
from dicom_gateway.web.accept import asked
from dicom_gateway.web.frames import NotAcceptable
from dicom_gateway.web.multipart import Part
from hub.errors import Conflict, Gone, HubError, Invalid, NotFound, OutOfSpace, Refused, Retryable

log = logging.getLogger("hub.web")

DICOM_JSON = "application/dicom+json"
WORTH_PACKING = 1024
STATUS = ((Gone, 410), (NotFound, 404), (NotAcceptable, 406), (Refused, 403), (Invalid, 400), (Conflict, 409), (OutOfSpace, 507), (Retryable, 503))
_PRIVATE = (("Cache-Control", "private, no-cache"), ("X-Content-Type-Options", "nosniff"))
_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_RANGE", "HTTP_IF_RANGE")
NOT_THERE = ("no_frame", "no_pixels")


def refusal(error: HubError) -> Response:
    """The hub's no as a status with its words."""
    status = 404 if error.code in NOT_THERE else next((code for kind, code in STATUS if isinstance(error, kind)), 406)
    reply = jsonify({"code": error.code, "zh": error.zh, "en": error.en})
    reply.status_code = status
    return _private(reply, False)


def missing(error: FileNotFoundError) -> Response:
    """A blob that the index names and the disk has lost: said to the client, and loudly to the log."""
    log.error("a stored file is missing: %s", error.filename)
    return refusal(NotFound("no_blob", "原始文件缺失，请联系管理员。", "a stored file is missing; tell the administrator."))


def wants_xml() -> bool:
    """Whether the client asks for attributes in XML, in parts, rather than in DICOM JSON (PS3.18 8.7.3). NotAcceptable unless it takes one of them."""
    for one in asked(request.environ.get("HTTP_ACCEPT", ""), request.args.get("accept", "")):
        if not one.multipart and (one.covers(DICOM_JSON) or one.covers("application/json")):
            return False
        if one.multipart and one.covers(native_xml.MEDIA):
            return True
    raise NotAcceptable("not_acceptable", f"此处只提供 {DICOM_JSON} 或 multipart/related; type=\"{native_xml.MEDIA}\"。",
                        f'only {DICOM_JSON} or multipart/related; type="{native_xml.MEDIA}" is given here.')


def xml_reply(documents: list[bytes], warnings: tuple[str, ...] = ()) -> Response:
    """Native DICOM Models, a part each."""
    reply = parts_reply([Part(native_xml.MEDIA, one, len(one)) for one in documents], native_xml.MEDIA, tag_of(b"".join(documents)))
    return _warned(reply, warnings)


def one_object(told: dict, status: int) -> Response:
    """One DICOM JSON object, as a Native DICOM Model where the client prefers XML (PS3.18 10.5.3)."""
    for one in asked(request.headers.get("Accept", ""), request.args.get("accept", "")):
        if one.covers(DICOM_JSON):
            break
        if one.covers(native_xml.MEDIA):
            return _private(Response(native_xml.to_xml(told), status, content_type=native_xml.MEDIA), False)
    return json_reply(document([told])[1:-1], status=status)


def json_reply(body: bytes, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
    """DICOM JSON, gzipped where that is worth it and the client takes it."""
    squeezed = len(body) > WORTH_PACKING and takes_gzip()
    return _json(gzip.compress(body, 1) if squeezed else body, squeezed, tag_of(body), status, warnings)


def packed_json_reply(packed: bytes) -> Response:
    """DICOM JSON that is gzipped already, unpacked for clients that do not take that."""
    squeezed = takes_gzip()
    return _json(packed if squeezed else gzip.decompress(packed), squeezed, tag_of(packed))


def takes_gzip() -> bool:
    return "gzip" in request.environ.get("HTTP_ACCEPT_ENCODING", "").lower()


def _json(content: bytes, squeezed: bool, etag: str, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
    tag = quote_etag(f"{etag}-gz" if squeezed else etag)
    headers = [("Content-Type", DICOM_JSON), ("Vary", "Accept, Accept-Encoding"), ("ETag", tag), *_PRIVATE]
    if squeezed:
        headers.append(("Content-Encoding", "gzip"))
    return _unless_known(_warned(Response(content, status, headers), warnings))


def nothing_found(warnings: tuple[str, ...]) -> Response:
    return _warned(Response(status=204), warnings)


def _warned(reply: Response, warnings: tuple[str, ...]) -> Response:
    for text in warnings:
        reply.headers.add("Warning", f'299 {request.host}: "{text}"')
    return reply


def document(value: list) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def parts_reply(parts: list[Part], kind: str, etag: str) -> Response:
    """multipart/related with a known length; the boundary follows from the tag, so equal content is equal bytes."""
    boundary = f"hub{sha256(etag.encode()).hexdigest()[:32]}"
    pieces, length = multipart.body(parts, boundary)
    reply = Response(pieces, content_type=f'multipart/related; type="{kind}"; boundary={boundary}', direct_passthrough=True)
    reply.content_length = length
    reply.vary.add("Accept")
    reply.set_etag(etag)
    return _private(reply, True).make_conditional(request)


def streamed_reply(parts: Iterable[Part], kind: str) -> Response:
    """multipart/related of parts that are made while it goes out; where one cannot be made, it breaks off before its end."""
    boundary = f"hub{token_hex(16)}"
    return _private(Response(multipart.streamed(parts, boundary), content_type=f'multipart/related; type="{kind}"; boundary={boundary}'), False)


def single_reply(part: Part, etag: str) -> Response:
    """One body without multipart, with byte ranges: one at a time, several at once are passed over (RFC 9110 14.2)."""
    headers = [("Content-Type", part.content_type), ("Vary", "Accept"), ("ETag", quote_etag(etag)), ("Accept-Ranges", "bytes"), *_PRIVATE]
    if isinstance(part.content, Path):
        reply = send_file(part.content, part.content_type, conditional=False, etag=False, max_age=None)
        reply.headers.update(headers)
    else:
        reply = Response(part.content, headers=headers)
    wanted = request.range
    try:
        return _unless_known(reply, accept_ranges=wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1, complete_length=part.size)
    except RequestedRangeNotSatisfiable:
        refused = refusal(Invalid("no_such_range", f"请求的字节范围超出内容长度（{part.size} 字节）。", f"the range lies beyond the {part.size} bytes that there are."))
        refused.status_code = 416
        refused.headers["Content-Range"] = f"bytes */{part.size}"
        return refused


def _unless_known(reply: Response, **ranges) -> Response:
    """The reply, or what the conditions of the request make of it: nearly all have none."""
    asked = request.environ
    return reply.make_conditional(request, **ranges) if any([name in asked for name in _CONDITIONS]) else reply


def unchanged_reply(etag: str) -> Response:
    """What the client has is what it would get: 304, before anything is made."""
    reply = Response(status=304)
    reply.vary.add("Accept")
    reply.set_etag(etag)
    return _private(reply, True)


def _private(reply: Response, may_keep: bool) -> Response:
    """Only the person's own browser may keep it, and asks again: rights may have changed."""
    reply.headers.update(_PRIVATE)
    if not may_keep:
        reply.headers["Cache-Control"] = "no-store"
    return reply


def tag_of(content: bytes) -> str:
    """A validator that changes with the content."""
    return sha256(content).hexdigest()[:40]
