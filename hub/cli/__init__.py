"""The command line: ``hub --help``. Exit codes: 0 done, 1 the answer is no, 2 it could not be done."""
from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import click

from hub.context import Hub, open_hub
from hub.errors import HubError
from hub.settings import Settings, load
from hub.storage import migration

COMMANDS = {          # name: (where the command lives, one line of help)
    "up": ("hub.cli.processes:up", "start everything and keep it running"),
    "web": ("hub.cli.processes:web", "run the web server"),
    "gateway": ("hub.cli.gateway:gateway", "run the DICOM gateway"),
    "worker": ("hub.cli.processes:worker", "run one worker process"),
    "scheduler": ("hub.cli.processes:scheduler", "run the scheduler"),
    "migrate": ("hub.cli.upkeep:migrate", "bring the database to the newest schema"),
    "status": ("hub.cli.upkeep:status", "show what runs and what waits"),
    "backup": ("hub.cli.upkeep:backup", "write everything into one archive"),
    "restore": ("hub.cli.upkeep:restore", "bring an archive back into an empty hub"),
    "archive": ("hub.cli.upkeep:archive_originals", "pack the originals of studies read long ago, without loss"),
    "fixity": ("hub.cli.upkeep:fixity", "hash every stored file again and name damaged ones"),
    "user": ("hub.cli.people:user", "accounts: add, list, password, lock, unlock"),
    "site": ("hub.cli.people:site", "institutions: add, list, destination"),
    "device": ("hub.cli.devices:device", "devices: add, list, check, move, certificate, token, off, on, unknown"),
    "send": ("hub.cli.send:send", "push files through the real DICOM or ECG door"),
    "verify": ("hub.cli.proof:verify", "check a signed report offline"),
    "audit": ("hub.cli.proof:audit", "the audit: verify its chain"),
    "settings": ("hub.cli.upkeep:settings", "print every setting and its value"),
}
DONE, NO, IMPOSSIBLE = 0, 1, 2


class _Lazy(click.Group):
    """Loads a command when it is called, so that each starts fast and knows only its own rooms."""

    def list_commands(self, _context):
        return list(COMMANDS)

    def get_command(self, _context, name):
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        return getattr(import_module(module), attribute)

    def format_commands(self, _context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=_Lazy, help=__doc__)
@click.option("--settings", "file", type=click.Path(path_type=Path), help="hub.toml to use instead of ./hub.toml")
@click.pass_context
def cli(context: click.Context, file: Path | None) -> None:
    context.obj = file


def settings_of(context: click.Context) -> Settings:
    """The settings this command was started with."""
    return load(context.find_root().obj)


@contextmanager
def opened(context: click.Context) -> Iterator[Hub]:
    """The open hub of a command, its schema current."""
    hub = open_hub(settings_of(context))
    try:
        migration.migrate(hub.engine)
        yield hub
    finally:
        hub.close()


def main() -> None:
    """The console script ``hub``."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for chatty in ("alembic", "pynetdicom", "httpx", "pyhanko", "pyhanko_certvalidator"):
        logging.getLogger(chatty).setLevel(logging.ERROR if chatty.startswith("pyhanko") else logging.WARNING)
    try:
        code = cli(standalone_mode=False)      # click hands an Exit back as its number
        sys.exit(code if isinstance(code, int) else DONE)
    except HubError as error:
        click.echo(f"{error.zh}\n{error.en}", err=True)
        sys.exit(IMPOSSIBLE)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
