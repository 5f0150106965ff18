"""The gateway ends when it is asked to, whichever of its threads the kernel gives the signal."""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

TGKILL = 234      # of x86-64: a signal for one thread


@pytest.mark.processes
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of the system call is known for x86-64 only")
def test_a_signal_that_another_thread_is_given_ends_the_gateway_too(hub):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "hub", "gateway"], env=os.environ | {
        "HUB_DATA_DIR": hub.settings.data_dir, "HUB_DATABASE_URL": hub.settings.database_url, "HUB_DICOM_PORT": str(port), "HUB_DICOM_HOST": "127.0.0.1"})
    try:
        until = time.monotonic() + 120
        while not _listens(port):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        _let_it_settle(process.pid)
        others = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir() if int(task.name) != process.pid]
        assert ctypes.CDLL(None).syscall(TGKILL, process.pid, others[0], signal.SIGTERM) == 0
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()


def _let_it_settle(pid: int) -> None:
    """Until the main thread has done nothing, or next to nothing, for a while: it waits to be asked to end."""
    calm = before = 0
    for _ in range(2000):
        time.sleep(0.02)
        ticks = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()[11]
        calm, before = (calm + 1, ticks) if ticks == before else (0, ticks)
        if calm > 50:
            return


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
