"""The clinic's own page as a channel: delivered as soon as the signed PDF can be opened there."""
from __future__ import annotations

import hashlib

from hub.context import Hub
from hub.delivery.parcel import Parcel
from hub.errors import Permanent


def deliver(hub: Hub, parcel: Parcel) -> str:
    """Checks that the PDF that the page will hand out is the signed one."""
    if hashlib.sha256(hub.blobs.read(parcel.pdf_sha256)).hexdigest() != parcel.pdf_sha256:
        raise Permanent("pdf_damaged", "报告文件已损坏，未发布。", "the report's file is damaged; not published.")
    return "on the clinic's page"
