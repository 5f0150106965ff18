"""The direct path over TLS, where a connection has no MSG_WAITALL, keeps what it has deciphered to itself, and may be
used by one thread at a time only: the line's own thread waits for each answer and sends it."""
from __future__ import annotations

import ssl

from dicom_gateway.direct import PATIENCE_S, Line


class EncryptedLine(Line):
    """One connection over TLS."""

    _response = b""

    def _keep_time(self) -> None:
        self._socket.settimeout(PATIENCE_S)       # TLS reads whole records and keeps time itself

    def _has_bytes(self) -> bool:
        """Bytes of a record that was read in part wait in the socket object."""
        return bool(self._socket.pending()) or super()._has_bytes()

    def _receive(self, view: memoryview) -> int:
        try:
            return self._socket.recv_into(view) if self._has_bytes() else -1
        except (TimeoutError, ssl.SSLWantReadError):
            return -1

    def _both(self, first: memoryview, second: memoryview, until: float) -> None:
        self._exactly(first, until, heed=False)
        self._exactly(second, until, heed=False)

    def _respond(self, response: bytes) -> None:
        self._response = response
        self._unanswered.release()

    def _after_object(self) -> None:
        with self._unanswered:
            self._socket.sendall(self._response)
