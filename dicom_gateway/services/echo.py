"""C-ECHO (PS3.4 A): the gateway is alive and knows the caller."""
from __future__ import annotations

from pynetdicom import evt

from dicom_gateway.status import SUCCESS


def handlers(_hub, _callers) -> list:
    return [(evt.EVT_C_ECHO, lambda event: SUCCESS)]
