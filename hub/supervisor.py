"""All processes of the hub under one roof: started in order, restarted when they fall, stopped cleanly.

A process that falls is started again after a pause that grows while it keeps falling. When the supervisor
itself is killed, the kernel stops its children, so that nothing is left behind on the ports.
"""
from __future__ import annotations

import ctypes
import fcntl
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from hub.errors import Invalid
from hub.queue import redis
from hub.settings import Settings

PATIENCE_S = 20         # for a process to end when asked
PORT_PATIENCE_S = 5     # for a port to be left by the processes of a killed supervisor
LARGEST_LOG = 20_000_000
_PR_SET_PDEATHSIG = 1

log = logging.getLogger("hub.supervisor")


@dataclass
class Child:
    """One process. ``ready`` tells whether it can be used."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    process: subprocess.Popen | None = None
    falls: int = 0
    started_at: float = 0.0
    next_start: float = 0.0
    log_file: Path = field(default_factory=Path)


class Supervisor:
    """``start`` everything, ``watch`` until ``stop`` is asked for, then ``end``."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.children = children(settings)
        self._stop = False
        self._lock = None

    def start(self, progress: Callable[[str], None] = lambda _name: None) -> None:
        """Starts every process in order and waits until each can be used. Invalid when the folder is in use
        or a port is taken."""
        self._take_folder()
        for name, host, port in (("web_port", self.settings.web_host, self.settings.web_port),
                                 ("dicom_port", self.settings.dicom_host, self.settings.dicom_port),
                                 ("dicom_tls_port", self.settings.dicom_host, self.settings.dicom_tls_port)):
            if port:
                _require_free(name, host, port)
        for child in self.children:
            self._launch(child)
            if child.name == "redis":
                self._await(child)
                progress(child.name)
        for child in self.children:
            if child.name != "redis":
                self._await(child)
                progress(child.name)

    def watch(self) -> None:
        """Restarts what falls until somebody asks to stop."""
        while not self._stop:
            now = time.monotonic()
            for child in self.children:
                self._look_after(child, now)
            time.sleep(0.2)

    def ask_to_stop(self, *_signal) -> None:
        self._stop = True

    def end(self) -> None:
        """Doors first, Redis last; whoever does not end in time is killed."""
        redis_last = ([c for c in self.children if c.name != "redis"], [c for c in self.children if c.name == "redis"])
        for group in redis_last:
            running = [c for c in group if c.process and c.process.poll() is None]
            for child in running:
                child.process.terminate()
            deadline = time.monotonic() + PATIENCE_S
            for child in running:
                try:
                    child.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    log.warning("%s did not end in time and was killed", child.name)
                    child.process.kill()
                    child.process.wait()
        if self._lock:
            self._lock.close()

    def _take_folder(self) -> None:
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.settings.folder / "supervisor.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Invalid("already_running", f"另一个诊断中心正在使用 {self.settings.folder}，请先停止它。",
                          f"another hub is running on {self.settings.folder}; stop it first.") from None

    def _launch(self, child: Child) -> None:
        folder = self.settings.folder / "logs"
        folder.mkdir(exist_ok=True)
        child.log_file = folder / f"{child.name}.log"
        if child.log_file.exists() and child.log_file.stat().st_size > LARGEST_LOG:
            child.log_file.replace(child.log_file.with_suffix(".old.log"))
        with child.log_file.open("ab") as output:
            child.process = subprocess.Popen(child.command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                             preexec_fn=_end_with_parent, start_new_session=True)
        child.started_at = time.monotonic()

    def _await(self, child: Child, patience_s: float = 60) -> None:
        deadline = time.monotonic() + patience_s
        while not child.ready():
            if self._stop:
                raise Invalid("stopped", "启动已取消。", "the start was interrupted.")
            if child.process.poll() is not None or time.monotonic() > deadline:
                words = _last_words(child.log_file)
                raise Invalid("not_started", f"{child.name} 未能启动：{words}（日志：{child.log_file}）",
                              f"{child.name} did not start: {words} (log: {child.log_file})")
            time.sleep(0.05)

    def _look_after(self, child: Child, now: float) -> None:
        if child.process is not None and child.process.poll() is not None:
            child.falls = child.falls + 1 if now - child.started_at < 60 else 1
            child.next_start = now + min(30.0, 0.2 * 2 ** (child.falls - 1))
            log.warning("%s ended with %s and is started again", child.name, child.process.returncode)
            child.process = None
        if child.process is None and now >= child.next_start and not self._stop:
            self._launch(child)


def children(settings: Settings) -> list[Child]:
    """The table of processes, in the order of their start."""
    hub = [sys.executable, "-m", "hub"]
    host = "127.0.0.1" if settings.web_host in ("", "0.0.0.0") else settings.web_host
    table = [Child("redis", redis.server_command(settings), lambda: redis.answers(settings))] if redis.is_embedded(settings) else []
    table += [
        Child("gateway", [*hub, "gateway"], lambda: all(_listens(settings.dicom_host, port)
                                                        for port in (settings.dicom_port, settings.dicom_tls_port) if port)),
        Child("web", [*hub, "web"], lambda: answers(f"http://{host}:{settings.web_port}/healthz")),
        Child("scheduler", [*hub, "scheduler"], lambda: True),
    ]
    table += [Child(f"worker-{number}", [*hub, "worker"], lambda: True) for number in range(1, settings.workers + 1)]
    return table


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _require_free(name: str, host: str, port: int) -> None:
    """Invalid when the port stays taken. The processes of a killed supervisor get a moment to leave it."""
    deadline = time.monotonic() + PORT_PATIENCE_S
    while (error := _bind_error(host, port)) is not None:
        if time.monotonic() > deadline:
            raise Invalid("port_taken", f"端口 {port} 已被占用（设置项 {name}），请关闭占用它的程序或换一个端口。",
                          f"port {port} cannot be used (setting {name}): {error.strerror}. Free it or choose another.")
        time.sleep(0.1)


def _bind_error(host: str, port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1" if host in ("", "0.0.0.0") else host, port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2) as reply:
            return reply.status == 200
    except (URLError, OSError):
        return False


def _last_words(file: Path) -> str:
    lines = file.read_text("utf-8", "replace").strip().splitlines() if file.exists() else []
    return lines[-1][:300] if lines else "-"

