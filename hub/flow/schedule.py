"""What happens by itself: every sweep with its pace, run by the scheduler process. Sweeps are idempotent.

What a sweep orders is handed to the workers in the same breath, not when their turn comes.
"""
from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event
from time import monotonic

from hub.context import Hub
from hub.errors import HubError
from hub.flow import archiving, availability, commitments, completion, critical, dispatch, fixity, identity, preparation, untold, worklist
from hub.queue.runner import Dispatcher
from hub.storage.database import refresh_statistics

log = logging.getLogger("hub.scheduler")
ABANDONED_S = 24 * 3600
FIXITY_PACE_S = 5
UNPACKED_S = 3600        # an unpacked copy of an archived file stays so long after it was asked for
HAND_OVER = "hand over jobs"


def sweeps(hub: Hub) -> list:
    """(seconds between runs, name, what to run)."""
    dispatcher = Dispatcher(hub.settings, hub.engine, hub.clock)
    seen = [0]

    def catch_up() -> None:
        seen[0] = identity.catch_up(hub, seen[0])

    return [
        (0.2, "close quiet studies", lambda: completion.close_quiet_studies(hub)),
        (0.25, "prepare ahead", lambda: preparation.order_ahead(hub)),
        (0.2, HAND_OVER, dispatcher.hand_over),
        (5, "recover forgotten jobs", dispatcher.recover),
        (FIXITY_PACE_S, "hash stored files again", lambda: _check_fixity(hub)),
        (5, "identify older patients", catch_up),
        (5, "ask older studies", lambda: untold.order(hub)),
        (10, "escalate critical values", lambda: critical.escalate_unanswered(hub)),
        (15, "lapse idle claims", lambda: worklist.lapse_idle_claims(hub)),
        (60, "mark overdue deliveries", lambda: dispatch.DELIVERIES.mark_overdue(hub)),
        (60, "mark overdue notices", lambda: availability.NOTICES.mark_overdue(hub)),
        (5, "call back for gateways that ended", lambda: commitments.leave_forgotten(hub)),
        (60, "give up storage commitments", lambda: commitments.CALLS.mark_overdue(hub)),
        (3600, "let go of what was given up long ago", lambda: commitments.let_go(hub)),
        (10, "pack read studies", lambda: archiving.order_nightly(hub)),
        (60, "pack again what came again", lambda: archiving.order_second_look(hub)),
        (3600, "remove unpacked copies", lambda: hub.blobs.sweep_unpacked(hub.now().timestamp() - UNPACKED_S)),
        (3600, "refresh statistics", lambda: refresh_statistics(hub.engine)),
        (3600, "remove half-written files", lambda: hub.blobs.sweep_incoming(hub.now().timestamp() - ABANDONED_S)),
    ]


def _check_fixity(hub: Hub) -> None:
    if hub.settings.fixity_mb_per_minute:
        fixity.check_some(hub, hub.settings.fixity_mb_per_minute * 1_000_000 * FIXITY_PACE_S // 60, timedelta(days=hub.settings.fixity_days))


def run_forever(hub: Hub, stop: Event) -> None:
    """Runs all sweeps at their pace until ``stop`` is set. A sweep that fails is tried again in its turn; one that did
    something has probably ordered work."""
    table = sweeps(hub)
    due = {name: 0.0 for _, name, _ in table}
    while not stop.is_set():
        for pace_s, name, sweep in table:
            if monotonic() >= due[name]:
                try:
                    if sweep():
                        due[HAND_OVER] = 0.0
                except HubError as error:
                    log.warning("%s: %s", name, error)
                except Exception:
                    log.exception("%s failed", name)
                due[name] = monotonic() + pace_s
        stop.wait(0.05)
