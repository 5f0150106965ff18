"""Answers of the services, by what became of the object or the question (PS3.4 B.2.3, C.4, PS3.7 C)."""
from __future__ import annotations

from pydicom.dataset import Dataset

from hub.errors import HubError, Invalid, OutOfSpace, Retryable

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700      # refused: the sender keeps the object and tries again
CANNOT_UNDERSTAND = 0xC000     # error: kept in quarantine, but nobody can read it
KEPT_BESIDE = 0xB000           # warning: stored, but a person must look at it
CLASS_NOT_SUPPORTED = 0x0122   # refused: SOP class not supported (PS3.7 C.5.6), here: not allowed to this device
PROCESSING_FAILURE = 0x0110    # not stored: an unexpected fault of ours

PENDING, PENDING_WITH_UNSUPPORTED_KEYS = 0xFF00, 0xFF01     # PS3.4 C.4.1.1.4
CANCELLED = 0xFE00
QUERY_LIMIT = 0xA700           # out of resources: narrow the question
UNCOUNTED = 0xA701             # out of resources: the number of sub-operations cannot be told
BAD_IDENTIFIER = 0xA900        # the identifier does not match the SOP class
UNABLE_TO_PROCESS = 0xC000

BY_OUTCOME = {
    "stored": (SUCCESS, ""),
    "duplicate": (SUCCESS, ""),
    "conflict": (KEPT_BESIDE, "kept beside the first version for review"),
    "quarantined": (CANNOT_UNDERSTAND, "kept in quarantine"),
}


def of_failure(error: HubError) -> tuple[int, str]:
    """Status and comment for an object that was not taken in."""
    if error.code == "sop_class":
        return CLASS_NOT_SUPPORTED, error.en
    if isinstance(error, (OutOfSpace, Retryable)) or error.code == "too_large":
        return OUT_OF_RESOURCES, error.en
    return PROCESSING_FAILURE, error.en


def of_refusal(error: HubError, out_of_resources: int = QUERY_LIMIT) -> Dataset:
    """Status and comment for a query or retrieval that was not begun or could not go on."""
    told = Dataset()
    told.Status = out_of_resources if isinstance(error, Retryable) else BAD_IDENTIFIER if isinstance(error, Invalid) else UNABLE_TO_PROCESS
    told.ErrorComment = error.en.encode("ascii", "replace").decode()[:64]
    return told
