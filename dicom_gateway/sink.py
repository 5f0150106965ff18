"""A data set on its way in: streamed to a blob while it arrives, so that memory stays flat.

pynetdicom can write an arriving data set to a temporary file. ``install`` puts this room's sink in place of
that file and a constant file header in place of its own, so that the bytes are hashed once, land in the blob
store, and are the same whichever program version received them. A full disk is remembered and answered as
"out of resources" (PS3.4 B.2.3) instead of breaking the association.
"""
from __future__ import annotations

from pynetdicom import _config, dimse_messages
from pynetdicom.dsutils import create_file_meta

from hub.context import Hub
from hub.errors import HubError, Invalid
from hub.model.arrival import StoredFile

IMPLEMENTATION_UID = "2.25.147859726870030653109970758313609687566"   # PS3.5 B.2: derived from a UUID
IMPLEMENTATION_VERSION = "DIAGNOSIS_HUB_1"


class Sink:
    """Takes what pynetdicom would write to a file. ``failure`` holds the first thing that went wrong."""

    def __init__(self, hub: Hub):
        self.failure: HubError | None = None
        self._most = hub.settings.largest_object_mb * 1_000_000
        self._writer = None
        try:
            self._writer = hub.blobs.writer()
        except HubError as error:
            self.failure = error

    @property
    def file(self):
        return self

    @property
    def name(self) -> str:
        """Asked for by pynetdicom to remove its temporary file; a kept blob has left that place."""
        return str(self._writer.path) if self._writer else "/nonexistent"

    def write(self, chunk) -> int:
        if self.failure is None and self._writer.size + len(chunk) > self._most:
            self.failure = Invalid("too_large", "文件超过允许的大小，未接收。", "the object is larger than allowed and was not taken in.")
        if self.failure is None:
            try:
                self._writer.write(chunk)
            except HubError as error:
                self.failure = error
        return len(chunk)

    def flush(self) -> None:
        """Nothing waits in memory."""

    def keep(self) -> StoredFile:
        """Makes the blob last; raises what went wrong while it arrived."""
        if self.failure is not None:
            raise self.failure
        return self._writer.keep()

    def close(self) -> None:
        if self._writer:
            self._writer.discard()


def install(hub: Hub) -> None:
    """Once per gateway process, before it listens."""
    _config.STORE_RECV_CHUNKED_DATASET = True
    dimse_messages.NamedTemporaryFile = lambda **_: Sink(hub)
    dimse_messages.create_file_meta = _constant_file_meta


def _constant_file_meta(**known):
    return create_file_meta(**known, implementation_uid=IMPLEMENTATION_UID, implementation_version=IMPLEMENTATION_VERSION)
