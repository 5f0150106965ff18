"""The direct path over TLS, where a connection may be used by one thread at a time only: the line's own thread waits for
each answer and sends it."""
from __future__ import annotations

from dicom_gateway.direct import Line
from dicom_gateway.incoming import EncryptedIncoming


class EncryptedLine(Line):
    """One connection over TLS."""

    INCOMING = EncryptedIncoming
    _response = b""

    def _respond(self, response: bytes) -> None:
        self._response = response
        self._unanswered.release()

    def _after_object(self) -> None:
        with self._unanswered:
            self._socket.sendall(self._response)
