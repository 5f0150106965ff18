"""What the gateway replaces in pynetdicom, for every association of the process: four places, the same answers, less time.

- ``AssociationSocket.ready`` asks by ``select``, which knows the first 1,024 open files only: in a process with more, every new
  association looks as if its peer had gone. ``poll`` knows them all.
- Each UID of a negotiation is checked a dozen times, 22 of 28 ms of an association that proposes 128 contexts. Devices
  propose the same UIDs day after day: those that were accepted are remembered (a warning about one is logged once). What
  is not valid is refused each time, as it was before.
- A proposed context is taken apart field by field, and one that is answered put together so, a third of what is left. What the same bytes
  said the last time is remembered, and the answer (PS3.8 9.3.3.2) is packed at once.
- Every PDU of a negotiation is described line by line for a log that nobody keeps.
"""
from __future__ import annotations

import logging
import select
import ssl
import struct
from functools import lru_cache

from pydicom.uid import UID
from pynetdicom import _handlers, evt, pdu_items, pdu_primitives, presentation, utils
from pynetdicom.association import Association
from pynetdicom.pdu_items import PresentationContextItemAC, PresentationContextItemRQ
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

REMEMBERED = 4096      # UIDs of at most 64 characters: less than a megabyte

SHORT_CONTEXT = 512    # bytes of one whose parts are remembered: an abstract syntax and a handful of transfer syntaxes

_ANSWER, _SYNTAX = struct.Struct(">BxHBxBx"), struct.Struct(">BxH")      # PS3.8 9.3.3.2 and 9.3.3.2.1
_checked = lru_cache(REMEMBERED)(utils.set_uid)
_parts_of = PresentationContextItemRQ._wrap_generate_items
_add_checking = PresentationContext.add_transfer_syntax


def mend() -> None:
    """Puts the replacements in place; safe to repeat."""
    for module in (pdu_items, pdu_primitives, presentation):
        module.set_uid = _uid
    PresentationContext.add_transfer_syntax = _add_transfer_syntax
    PresentationContextItemRQ._wrap_generate_items = _parts
    PresentationContextItemAC.encode = _answer
    AssociationSocket.ready = property(_is_ready)


def describe_nothing(association: Association) -> None:
    """Ends the description of each PDU for the log, unless somebody debugs."""
    if not logging.getLogger("pynetdicom").isEnabledFor(logging.DEBUG):
        association.unbind(evt.EVT_PDU_RECV, _handlers.standard_pdu_recv_handler)
        association.unbind(evt.EVT_PDU_SENT, _handlers.standard_pdu_sent_handler)


def _uid(value, name: str, allow_empty: bool = True, allow_none: bool = True, validate: bool = True) -> UID | None:
    """In place of ``pynetdicom.utils.set_uid``. What is too long to be a UID is not worth remembering."""
    short = isinstance(value, (str, bytes)) and len(value) <= 64
    return (_checked if short else utils.set_uid)(value, name, allow_empty, allow_none, validate)


def _add_transfer_syntax(context: PresentationContext, syntax) -> None:
    """In place of ``PresentationContext.add_transfer_syntax``, which stays the judge of what it has not seen yet."""
    for known in _judged(syntax) if isinstance(syntax, (str, bytes)) and len(syntax) <= 64 else ():
        if known not in context._transfer_syntax:
            context._transfer_syntax.append(known)
        return
    _add_checking(context, syntax)


@lru_cache(REMEMBERED)
def _judged(syntax: str | bytes) -> tuple[UID, ...]:
    """The syntax as pynetdicom keeps it; () where it does not, or not without a warning."""
    trial = PresentationContext()
    try:
        _add_checking(trial, syntax)
    except ValueError:
        return ()
    return tuple(one for one in trial.transfer_syntax if one.is_transfer_syntax or one.is_private)


def _parts(item: PresentationContextItemRQ, said: bytes) -> list:
    """In place of ``_wrap_generate_items``: nobody changes the parts of a proposed context."""
    return list(_known_parts(bytes(said))) if len(said) <= SHORT_CONTEXT else _parts_of(item, said)


@lru_cache(REMEMBERED // 4)
def _known_parts(said: bytes) -> tuple:
    return tuple(_parts_of(PresentationContextItemRQ(), said))


def _answer(item: PresentationContextItemAC) -> bytes:
    """In place of ``encode``."""
    syntaxes = b"".join(_syntax(str(one.transfer_syntax_name or "")) for one in item.transfer_syntax_sub_item or ())
    return _ANSWER.pack(0x21, 4 + len(syntaxes), item.presentation_context_id, item.result_reason) + syntaxes


@lru_cache(REMEMBERED)
def _syntax(uid: str) -> bytes:
    return _SYNTAX.pack(0x40, len(uid)) + uid.encode("ascii")


def _is_ready(line: AssociationSocket) -> bool:
    """Whether there is something to read, or the end of it."""
    if line.socket is None or not line._is_connected:
        return False
    try:
        waiting = select.poll()
        waiting.register(line.socket, select.POLLIN)
        found = waiting.poll(0)
    except (OSError, ValueError):
        found = None
    if found is None or any(what & select.POLLNVAL for _, what in found):
        line.event_queue.put("Evt17")       # PS3.8 9.2: transport connection closed
        return False
    return bool(found) or isinstance(line.socket, ssl.SSLSocket) and bool(line.socket.pending())
