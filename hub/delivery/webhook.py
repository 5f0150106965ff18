"""A report's news goes to another system as one signed HTTP POST.

The body is JSON in UTF-8, keys sorted, no spaces between. Three headers prove and order it:

    Idempotency-Key        the same for every attempt to deliver the same thing: act on it once
    X-Hub-Timestamp        Unix seconds at which this attempt was sent
    X-Hub-Signature        v1=HMAC-SHA256 in lower-case hexadecimal, keyed with the shared secret (UTF-8),
                           over the timestamp's digits, a full stop, and the body's bytes as received

A receiver recomputes the signature over the raw body before reading it, refuses a timestamp more than five
minutes from its own clock, and answers 2xx once it has stored the news; check_signature does the first two.
Redirects are never followed, proxies of the environment are not used, and at most 64 KiB of the answer are
read.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from hub.errors import Invalid, Permanent, Refused, Retryable

REPLY_BYTES_LIMIT = 65_536
TOLERANCE_S = 300
TIMEOUT_S = 30.0
WORTH_RETRYING = frozenset({408, 425, 429})
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Outcome:
    """A delivered message: the receiver's 2xx status and at most 500 characters of its answer."""

    status: int
    reply: str


def send(url: str, secret: str, body: dict, *, idempotency_key: str, timeout_s: float,
         sent_at: datetime) -> Outcome:
    """Post ``body`` once; a return means that the receiver answered 2xx.

    ``timeout_s`` bounds the whole exchange, ``sent_at`` (with a time zone) is the hub's clock. Raises
    Invalid ``webhook.request`` (address, secret, key, time or body unusable); Permanent
    ``webhook.refused`` (3xx, 4xx) for what would be refused again; Retryable ``webhook.unavailable``
    (5xx, 408, 425, 429), ``webhook.timeout`` and ``webhook.unreachable``.
    """
    content = _content(body)
    _check(url, secret, idempotency_key, timeout_s, sent_at)
    timestamp = str(int(sent_at.timestamp()))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "diagnosis-hub",
        "Accept-Encoding": "identity",
        "Idempotency-Key": idempotency_key,
        "X-Hub-Timestamp": timestamp,
        "X-Hub-Signature": signature_of(secret, timestamp, content),
    }
    try:
        status, reply = asyncio.run(_post(url, content, headers, timeout_s))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise Retryable("webhook.timeout", f"接收方 {timeout_s:g} 秒内没有答复，稍后将重试。",
                        f"The receiver did not answer within {timeout_s:g} s; it will be tried again.") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _unusable("接收地址无效", f"the address is not valid ({error})") from error
    except httpx.HTTPError as error:
        raise Retryable("webhook.unreachable", "无法与接收方通信，稍后将重试。",
                        f"The receiver could not be reached ({type(error).__name__}); it will be tried again."
                        ) from error
    return _outcome(status, reply)


def signature_of(secret: str, timestamp: str, content: bytes) -> str:
    """The value of X-Hub-Signature for these bytes."""
    digest = hmac.new(secret.encode("utf-8"), timestamp.encode("ascii") + b"." + content, hashlib.sha256)
    return "v1=" + digest.hexdigest()


def check_signature(secret: str, headers: Mapping[str, str], content: bytes, now: datetime) -> None:
    """For receivers: returns when ``content`` (the raw body) was signed with ``secret`` within five minutes.

    Header names may be in any case. Raises Refused ``webhook.signature`` or ``webhook.stale``.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get("x-hub-timestamp", "")
    claimed = given.get("x-hub-signature", "").encode("utf-8", "replace")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or not hmac.compare_digest(
            signature_of(secret, timestamp, content).encode(), claimed):
        raise Refused("webhook.signature", "消息签名不符，已拒收。", "The message's signature does not match.")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_S:
        raise Refused("webhook.stale", "消息时间与本机相差超过 5 分钟，已拒收；请核对时钟。",
                      "The message's time is more than five minutes off; check the clocks.")


async def _post(url: str, content: bytes, headers: dict[str, str], timeout_s: float) -> tuple[int, bytes]:
    """One exchange within one deadline, however slowly the other side drips."""
    async with asyncio.timeout(timeout_s):
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=timeout_s) as client:
            async with client.stream("POST", url, content=content, headers=headers) as response:
                reply = bytearray()
                async for part in response.aiter_raw():
                    reply += part
                    if len(reply) >= REPLY_BYTES_LIMIT:
                        break
                return response.status_code, bytes(reply)


def _outcome(status: int, reply: bytes) -> Outcome:
    words = "".join(c if c.isprintable() else " " for c in reply[:500].decode("utf-8", "replace"))
    if 200 <= status < 300:
        return Outcome(status, words)
    if status >= 500 or status in WORTH_RETRYING:
        raise Retryable("webhook.unavailable", f"接收方暂时不能接收（HTTP {status}），稍后将重试。",
                        f"The receiver cannot take it now (HTTP {status}); it will be tried again. {words}")
    raise Permanent("webhook.refused", f"接收方拒收（HTTP {status}）。请核对接收地址与密钥。",
                    f"The receiver refused (HTTP {status}); check its address and secret. {words}")


def _content(body: dict) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, sort_keys=True,
                          separators=(",", ":")).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise _unusable("消息内容无法写成 JSON", f"the body cannot be written as JSON ({error})") from error


def _check(url: str, secret: str, idempotency_key: str, timeout_s: float, sent_at: datetime) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        sound = False
    if not sound:
        raise _unusable("接收地址须为 http 或 https，且不带用户名",
                        "the address must be http or https, without a user name")
    if not secret:
        raise _unusable("缺少签名密钥", "there is no secret to sign with")
    if not _KEY.fullmatch(idempotency_key):
        raise _unusable("幂等键须为 1 至 255 个可见 ASCII 字符",
                        "the idempotency key must be 1 to 255 visible ASCII characters")
    if sent_at.tzinfo is None or not timeout_s > 0:
        raise _unusable("发送时间没有时区或时限无效", "sent_at has no time zone or timeout_s is not above zero")


def _unusable(zh: str, en: str) -> Invalid:
    return Invalid("webhook.request", f"消息未发送：{zh}。", f"Nothing was sent: {en}.")


def deliver(hub, parcel) -> str:
    """The channel: the news of one signed report, with its PDF, to the destination's address."""
    outcome = send(parcel.address["url"], parcel.address["secret"], message(parcel),
                   idempotency_key=parcel.idempotency_key, timeout_s=TIMEOUT_S, sent_at=hub.now())
    return f"HTTP {outcome.status}"


def message(parcel) -> dict:
    """What a receiver is told; documented in docs/webhook.md. ``pdf`` is base64, ``pdf_sha256`` its hash."""
    return {
        "event": "report.signed", "report_number": parcel.report_number, "version": parcel.version,
        "signed_at": parcel.signed_at.isoformat(), "study_instance_uid": parcel.study_uid,
        "accession_number": parcel.accession_number, "modality": parcel.modality, "site": parcel.site_code,
        "patient_id": parcel.patient_id, "patient_name": parcel.patient_name, "impression": parcel.impression,
        "positive": parcel.positive, "critical": parcel.critical, "report_physician": parcel.reader_name,
        "reviewing_physician": parcel.reviewer_name, "pdf_sha256": parcel.pdf_sha256,
        "pdf": base64.b64encode(parcel.pdf).decode(),
    }
