"""Answers of the storage service, by what became of the object (PS3.4 B.2.3, PS3.7 C)."""
from __future__ import annotations

from hub.errors import HubError, OutOfSpace, Retryable

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700      # refused: the sender keeps the object and tries again
CANNOT_UNDERSTAND = 0xC000     # error: kept in quarantine, but nobody can read it
KEPT_BESIDE = 0xB000           # warning: stored, but a person must look at it
PROCESSING_FAILURE = 0x0110    # not stored: an unexpected fault of ours

BY_OUTCOME = {
    "stored": (SUCCESS, ""),
    "duplicate": (SUCCESS, ""),
    "conflict": (KEPT_BESIDE, "kept beside the first version for review"),
    "quarantined": (CANNOT_UNDERSTAND, "kept in quarantine"),
}


def of_failure(error: HubError) -> tuple[int, str]:
    """Status and comment for an object that was not taken in."""
    if isinstance(error, (OutOfSpace, Retryable)) or error.code == "too_large":
        return OUT_OF_RESOURCES, error.en
    return PROCESSING_FAILURE, error.en
