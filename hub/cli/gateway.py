"""The DICOM gateway's process, by itself: it knows little else, so that its memory stays small."""
from __future__ import annotations

import ctypes
import gc
import resource
import signal
from importlib import import_module
from threading import Event

import click

from hub.cli import settings_of
from hub.context import open_hub

GATEWAY = "dicom_gateway.server:start"      # found by name (docs/decisions/0002)
M_ARENA_MAX = -8                            # malloc.h
FILES = 4096
LOOK_EVERY_S = 1.0                          # whether the process was asked to end


@click.command()
@click.pass_context
def gateway(context: click.Context) -> None:
    """Run the DICOM gateway."""
    module, name = GATEWAY.split(":")
    stop = until_asked_to_stop()
    open_many_files()
    hub = open_hub(settings_of(context))
    server = getattr(import_module(module), name)(hub)
    _settle_memory()
    while not stop.wait(LOOK_EVERY_S):      # a signal that another thread was given wakes nobody who waits without end
        pass
    server.shutdown()
    hub.close()


def open_many_files() -> None:
    """For a process of many connections, each of which may hold two: itself, and what it sends or is sent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, FILES)), hard))


def until_asked_to_stop() -> Event:
    """Set when the process is asked to end."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _settle_memory() -> None:
    """For a process of many threads: what is there at the start is not searched for garbage again (a search stops
    every association for a tenth of a second), and freed memory is not kept apart for each thread."""
    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
    except AttributeError:
        pass                    # not glibc
