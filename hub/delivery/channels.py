"""How a report leaves, or the word that a study is ready: one line per channel, each a module with ``deliver(hub, parcel) -> str``.

The portal is the clinic's own page: its report is delivered when it can be opened there.
The DICOM channels live in the room that speaks DICOM and are found by name (docs/decisions/0002).
"""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from hub.errors import Permanent

CHANNELS = {
    "portal": "hub.delivery.portal",
    "webhook": "hub.delivery.webhook",
    "dicom": "dicom_gateway.returns",
    "availability": "dicom_gateway.availability",
}

ANNOUNCING = ("availability",)      # they carry the word that a study is ready, and no report


def deliverer(channel: str) -> Callable:
    """The ``deliver`` of a channel; Permanent if there is no such channel."""
    try:
        return import_module(CHANNELS[channel]).deliver
    except KeyError:
        raise Permanent("no_channel", "没有这种发送方式。", f"there is no channel {channel}.") from None
