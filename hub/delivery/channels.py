"""How a report leaves: one line per channel, each a module with ``deliver(hub, parcel) -> str``.

The portal is the clinic's own page: its report is delivered when it can be opened there.
The DICOM channel lives in the room that speaks DICOM and is found by name (docs/decisions/0002).
"""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from hub.errors import Permanent

CHANNELS = {
    "portal": "hub.delivery.portal",
    "webhook": "hub.delivery.webhook",
    "dicom": "dicom_gateway.returns",
}


def deliverer(channel: str) -> Callable:
    """The ``deliver`` of a channel; Permanent if there is no such channel."""
    try:
        return import_module(CHANNELS[channel]).deliver
    except KeyError:
        raise Permanent("no_channel", "没有这种发送方式。", f"there is no channel {channel}.") from None
