"""Devices from the command line: who may send, how each is doing, and what connects one."""
from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import click

from hub.cli import NO, opened
from hub.cli.people import site_id_of
from hub.errors import Invalid
from hub.flow import certificates, checkups, device_changes, devices
from hub.model.access import SYSTEM
from hub.model.checkup import LEVELS

DOCTORS = {"dicom": "dicom_gateway.doctor:examine", "ecg": "ecg.doctor:examine"}      # found by name (docs/decisions/0002)
MARKS = {"good": "✓", "info": "·", "warn": "!", "bad": "✗"}


@click.group()
def device() -> None:
    """Devices that may send."""


@device.command("add")
@click.option("--site", "code", required=True, help="code of the institution")
@click.option("--kind", type=click.Choice(devices.KINDS), required=True)
@click.option("--name", default="")
@click.option("--ae-title", default="", help="for DICOM devices")
@click.option("--address", default="", help="IP address; empty: any")
@click.pass_context
def device_add(context, code, kind, name, ae_title, address) -> None:
    """Register a device or information system (his); a token, where it has one, is printed once."""
    with opened(context) as hub:
        device_id, token = devices.register(hub, SYSTEM, site_id=site_id_of(hub, code), kind=kind, name=name, ae_title=ae_title, address=address)
    click.echo(token or device_id)


@device.command("list")
@click.pass_context
def device_list(context) -> None:
    """List all devices."""
    with opened(context) as hub:
        for row in devices.listed(hub, SYSTEM):
            state = "" if row.active else "  (off)"
            click.echo(f"{row.id:>4}  {row.kind:<6} {row.ae_title:<16} {row.address or '*':<16} {row.name}  {row.site_name}{state}")


@device.command("token")
@click.argument("device_id", type=int)
@click.pass_context
def device_token(context, device_id) -> None:
    """Give an ECG device or information system a new token; the old one ends."""
    with opened(context) as hub:
        click.echo(devices.renew_token(hub, SYSTEM, device_id))


@device.command("off")
@click.argument("device_id", type=int)
@click.pass_context
def device_off(context, device_id) -> None:
    """Shut a device out."""
    with opened(context) as hub:
        devices.set_active(hub, SYSTEM, device_id, False)


@device.command("on")
@click.argument("device_id", type=int)
@click.pass_context
def device_on(context, device_id) -> None:
    """Let a device in again."""
    with opened(context) as hub:
        devices.set_active(hub, SYSTEM, device_id, True)


@device.command("unknown")
@click.pass_context
def device_unknown(context) -> None:
    """List callers that were refused."""
    with opened(context) as hub:
        for row in devices.unknown_callers(hub, SYSTEM):
            click.echo(f"{row.ae_title:<16} {row.address:<16} {row.times:>5} times, last {row.last_seen_at:%Y-%m-%d %H:%M} UTC")


@device.command("check")
@click.argument("device_id", type=int)
@click.option("--call/--no-call", default=True, help="send a C-ECHO to where the device listens")
@click.option("--english", is_flag=True)
@click.pass_context
def device_check(context, device_id, call, english) -> None:
    """Examine a device by what it sent and how it connects; exit code 1 when something must be mended."""
    with opened(context) as hub:
        row = devices.find(hub, SYSTEM, device_id)
        if row.kind not in DOCTORS:
            raise click.ClickException("信息系统没有可检查的内容。 There is nothing to examine about an information system.")
        module, name = DOCTORS[row.kind].split(":")
        result = getattr(import_module(module), name)(hub, SYSTEM, device_id, call=call)
        checkups.keep(hub, SYSTEM, device_id, result)
    click.echo(f"{row.name}  {row.site_name}  {row.ae_title}")
    for zh, en, value in result.seen:
        click.echo(f"  {en if english else zh}: {value}")
    for one in result.findings:
        click.echo(f"{MARKS[one.level]} {one.en if english else one.zh}")
        if todo := one.todo_en if english else one.todo_zh:
            click.echo(f"    → {todo}")
    if result.verdict == LEVELS[0]:
        raise click.exceptions.Exit(NO)


@device.command("move")
@click.argument("device_id", type=int)
@click.option("--site", "code", required=True, help="code of the institution where it stands now")
@click.pass_context
def device_move(context, device_id, code) -> None:
    """Record that a device stands at another institution from now on; what it sent before stays where it is."""
    with opened(context) as hub:
        device_changes.move(hub, SYSTEM, device_id, site_id_of(hub, code))


@device.command("certificate")
@click.argument("device_id", type=int)
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def device_certificate(context, device_id, file) -> None:
    """Write a new key and certificate (PEM) for a device's TLS connection to FILE, which must not exist; the older one ends."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Invalid("no_file", f"无法新建文件 {file}。", f"cannot make the file {file}: {error.strerror}.") from error
    with os.fdopen(handle, "wb") as written, opened(context) as hub:
        written.write(certificates.issue(hub, SYSTEM, device_id))
