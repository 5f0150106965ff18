"""What every association needs that this side opens, given to pynetdicom as event handlers.

- No Nagle: it holds each object back for the peer's delayed acknowledgement (40 ms).
- A pause that holds. pynetdicom pauses its own thread of an association before it sends a request and reads the answer
  itself; but that thread can have passed the pause a moment before, takes the answer off the queue and drops it, and the
  caller waits for it until its time is up. On a busy machine that befell one request in fifty.
- No second, endless wait for that pause: a flag says whether the thread rests there, and another thread, which serves a report of
  the peer, can say for good that it does not.
- A refusal that is one however soon it comes. pynetdicom asks whether the connection stands after it was opened; a peer that has
  refused and closed it by then looks as if it could not be reached.
"""
from __future__ import annotations

import socket

from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from dicom_gateway.resting import Pause
from dicom_gateway.tls import tls_args
from hub.context import Hub
from hub.errors import Retryable
from hub.flow.devices import Node

TIMEOUT_S = 60


class _Requesting(Association):
    """An association whose pause holds by itself: ``Pause.clear`` has waited."""

    _is_paused = property(lambda self: True, lambda self, value: None)

    def _abort_blocking(self, block: bool = True) -> None:
        """Ends it; one that was refused before pynetdicom looked has ended."""
        answer = self.dul.peek_next_pdu()
        if not isinstance(answer, A_ASSOCIATE) or not answer.result:
            super()._abort_blocking(block)
            return
        self.acceptor.primitive = self.dul.receive_pdu()
        self.is_rejected, self.is_established = True, False
        evt.trigger(self, evt.EVT_REJECTED, {})
        self.dul.kill_dul()


def _opened(event: evt.Event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    event.assoc._reactor_checkpoint = Pause()
    event.assoc.__class__ = _Requesting


REQUESTING = [(evt.EVT_CONN_OPEN, _opened)]


def association(calling: str, called: str, host: str, port: int, *contexts: PresentationContext, timeout_s: float = TIMEOUT_S, **more) -> Association:
    """An association with whoever listens there, for at most 128 ``contexts``; whether it is established is for the caller to see.
    ``timeout_s``: how long each step of it may take. ``more``: of ``AE.associate``."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = timeout_s
    return entity.associate(host, port, contexts=list(contexts), ae_title=called, evt_handlers=REQUESTING, **more)


def association_with(hub: Hub, to: Node, sop_class: str, **more) -> Association:
    """An association with a node for one SOP class. ``more``: of ``association``."""
    return association(hub.settings.dicom_ae_title, to.ae_title, to.host, to.port, build_context(sop_class), tls_args=tls_args(hub, to.tls), **more)


def no_association(called: str, host: str, port: int) -> Retryable:
    """What is raised where a node cannot be reached."""
    return Retryable("no_association", f"无法连接 {called}（{host}:{port}）。请确认对方已开机、接收端口正确、网络可达，并允许本中心接入。",
                     f"no association with {called} at {host}:{port}: see that it is on, that its listener has this port, that the network leads there and that it admits the hub.")
