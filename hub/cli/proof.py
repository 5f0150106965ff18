"""Proof: is this PDF the report that was signed, and is the audit whole?"""
from __future__ import annotations

from pathlib import Path

import click

from hub.cli import NO, opened, settings_of
from hub.delivery import verification
from hub.errors import NotFound
from hub.flow import administration


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--root", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="the centre's root certificate (PEM); without it, that of this hub")
@click.pass_context
def verify(context, file: Path, root: Path | None) -> None:
    """Check a signed report offline: who signed it, and that nothing has changed since."""
    root = root or settings_of(context).folder / "keys" / "authority" / "root.pem"
    if not root.is_file():
        raise NotFound("no_root", f"没有找到根证书 {root}，请用 --root 指定中心的根证书。",
                       f"there is no root certificate at {root}; name the centre's with --root.")
    verdict = verification.verify_pdf(file.read_bytes(), [root.read_bytes()])
    click.echo(f"{verdict.zh}\n{verdict.en}")
    if not verdict.valid:
        raise click.exceptions.Exit(NO)


@click.group()
def audit() -> None:
    """The append-only record of who did what."""


@audit.command("verify")
@click.pass_context
def audit_verify(context) -> None:
    """Walk the chain and name the first broken entry."""
    with opened(context) as hub:
        verdict = administration.verify_audit(hub)
    if verdict.broken_at is None:
        click.echo(f"{verdict.entries} 条记录完整 entries, all sealed")
        return
    click.echo(f"第 {verdict.broken_at} 条记录不完整 entry {verdict.broken_at} is broken: {verdict.reason}")
    raise click.exceptions.Exit(NO)
