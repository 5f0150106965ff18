"""C-ECHO (PS3.4 A): the gateway is alive and knows the caller."""
from __future__ import annotations

from pynetdicom import evt
from pynetdicom.sop_class import Verification

from dicom_gateway.status import SUCCESS

CLASSES = (Verification,)


def handlers(_hub, _callers) -> list:
    return [(evt.EVT_C_ECHO, lambda event: SUCCESS)]
