"""Looking after a hub: schema, status, backup, restore, settings."""
from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
from rich.progress import Progress

from hub.cli import NO, opened, settings_of
from hub.context import open_hub
from hub.flow import administration, archiving, intake
from hub.flow.fixity import check_everything, damaged
from hub.model.access import SYSTEM
from hub.queue import redis
from hub.settings import Settings
from hub.storage import archive, migration


@click.command()
@click.pass_context
def migrate(context) -> None:
    """Bring the database to the newest schema. Does nothing when it is there."""
    hub = open_hub(settings_of(context))
    migration.migrate(hub.engine)
    click.echo(migration.current(hub.engine)[0])
    hub.close()


@click.command()
@click.pass_context
def status(context) -> None:
    """Show what waits, what is held and whether Redis answers."""
    with opened(context) as hub:
        at, newest = migration.current(hub.engine)
        numbers, taken = administration.overview(hub, SYSTEM), intake.counts(hub)
        click.echo(f"schema      {at} of {newest}")
        click.echo(f"redis       {'answers' if redis.answers(hub.settings) else 'away'}")
        for name in ("studies", "jobs"):
            states = ", ".join(f"{count} {state}" for state, count in sorted(numbers[name].items()))
            click.echo(f"{name:<11} {states or 'none'}")
        click.echo(f"instances   {taken['instances']}")
        click.echo(f"held        {numbers['held']} open")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def backup(context, file: Path) -> None:
    """Write database, files and keys into one archive. The hub may run meanwhile."""
    with opened(context) as hub, Progress() as progress:
        task = progress.add_task("备份 backup", total=None)
        total = archive.write(hub.engine, hub.settings.folder, file,
                              lambda done, of: progress.update(task, completed=done, total=of))
    click.echo(f"{total} files -> {file}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_context
def restore(context, file: Path) -> None:
    """Bring an archive back into an empty hub; every file's hash is checked."""
    with opened(context) as hub, Progress() as progress:
        task = progress.add_task("恢复 restore", total=None)
        total = archive.read(hub.engine, hub.settings.folder, file,
                             lambda done, of: progress.update(task, completed=done, total=of))
    click.echo(f"{total} files <- {file}")


@click.command("archive")
@click.pass_context
def archive_originals(context) -> None:
    """Pack the originals of all studies whose final report is older than archive_after_days, now. Each is proved to give its own bytes back."""
    with opened(context) as hub:
        left_over: set[int] = set()
        with Progress() as progress:
            task = progress.add_task("压缩归档 archive", total=None)
            while rows := [row for row in archiving.due(hub) if row.id not in left_over]:
                for row in rows:
                    left_over.add(row.id)
                    archiving.archive_study(hub, row.id, lambda files: progress.advance(task, files))
        archiving.archive_again(hub)
        sums = archiving.sums(hub, SYSTEM)
    click.echo(f"{sums.files} files packed, {sums.size / 1e6:.0f} MB in {sums.packed_size / 1e6:.0f} MB{f' ({sums.ratio:.2f}:1)' if sums.ratio else ''}, "
               f"{sums.left} left as they came")


@click.command()
@click.pass_context
def fixity(context) -> None:
    """Read back every stored file now and compare it with its SHA-256. Exit code 1 when one is damaged or missing."""
    with opened(context) as hub:
        with Progress() as progress:
            task = progress.add_task("校验 fixity", total=None)
            checked = check_everything(hub, lambda done, of: progress.update(task, completed=done, total=max(done, of)))
        click.echo(f"{checked.files} files, {checked.bytes / 1e6:.0f} MB")
        broken = damaged(hub, SYSTEM)
    for row in broken:
        click.echo(f"{row.what}  {row.sha256}  {row.source} {row.source_id}  study {row.study_id or '-'}  {row.site_name or ''} {row.device_name or ''}")
    if broken:
        raise click.exceptions.Exit(NO)


@click.command()
@click.pass_context
def settings(context) -> None:
    """Print every setting, its value and what it is for."""
    values = settings_of(context)
    for spec in fields(Settings):
        click.echo(f"{spec.name} = {getattr(values, spec.name)!r}\n    {spec.metadata['about']}")
