"""Accounts and institutions from the command line, recorded in the audit as the system's doing."""
from __future__ import annotations

import click

from hub import accounts
from hub.cli import opened
from hub.errors import NotFound
from hub.flow import administration
from hub.model.access import ROLES, SYSTEM


@click.group()
def user() -> None:
    """Accounts of people."""


@user.command("add")
@click.argument("username")
@click.option("--name", required=True, help="the name on reports")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--site", "code", help="code of the institution (for clinic accounts)")
@click.option("--title", default="", help="professional title")
@click.password_option(help="asked for when not given")
@click.pass_context
def user_add(context, username, name, role, code, title, password) -> None:
    """Add a person."""
    with opened(context) as hub:
        site_id = site_id_of(hub, code) if code else None
        accounts.create(hub, SYSTEM, username=username, password=password, display_name=name, role=role, site_id=site_id, title=title)
    click.echo(f"{username}: {role}")


@user.command("list")
@click.pass_context
def user_list(context) -> None:
    """List all accounts."""
    with opened(context) as hub:
        for row in accounts.listed(hub, SYSTEM):
            state = "" if row.active else "  (off)"
            click.echo(f"{row.id:>4}  {row.username:<20} {row.role:<14} {row.display_name}  {row.site_name or ''}{state}")


@user.command("password")
@click.argument("username")
@click.password_option()
@click.pass_context
def user_password(context, username, password) -> None:
    """Give a new password, to be changed at the next sign-in."""
    with opened(context) as hub:
        accounts.reset_password(hub, SYSTEM, _account_id(hub, username), password)


@user.command("off")
@click.argument("username")
@click.pass_context
def user_off(context, username) -> None:
    """Shut a person out at once."""
    with opened(context) as hub:
        accounts.set_active(hub, SYSTEM, _account_id(hub, username), False)


@user.command("on")
@click.argument("username")
@click.pass_context
def user_on(context, username) -> None:
    """Let a person in again."""
    with opened(context) as hub:
        accounts.set_active(hub, SYSTEM, _account_id(hub, username), True)


@click.group()
def site() -> None:
    """Institutions and where their reports go."""


@site.command("add")
@click.argument("code")
@click.argument("name")
@click.option("--level", default="乡镇卫生院")
@click.option("--phone", default="")
@click.pass_context
def site_add(context, code, name, level, phone) -> None:
    """Add an institution."""
    with opened(context) as hub:
        click.echo(administration.create_site(hub, SYSTEM, code=code, name=name, level=level, phone=phone))


@site.command("list")
@click.pass_context
def site_list(context) -> None:
    """List all institutions."""
    with opened(context) as hub:
        for row in administration.sites(hub):
            click.echo(f"{row.id:>4}  {row.code:<12} {row.name}  {row.phone}")


@site.command("destination")
@click.argument("code")
@click.argument("channel", type=click.Choice(sorted(administration.CHANNEL_FIELDS)))
@click.argument("address", nargs=-1, required=True)
@click.option("--tls", is_flag=True, help="over TLS (dicom)")
@click.pass_context
def site_destination(context, code, channel, address, tls) -> None:
    """Send a site's reports elsewhere too: dicom AE HOST PORT, or webhook URL SECRET."""
    with opened(context) as hub:
        values = dict(zip(administration.CHANNEL_FIELDS[channel], address)) | ({"tls": "yes"} if tls else {})
        click.echo(administration.add_destination(hub, SYSTEM, site_id_of(hub, code), channel, values))


def site_id_of(hub, code: str) -> int:
    for row in administration.sites(hub):
        if row.code == code:
            return row.id
    raise NotFound("no_site", f"没有代码为 {code} 的机构。", f"there is no institution with the code {code}.")


def _account_id(hub, username: str) -> int:
    for row in accounts.listed(hub, SYSTEM):
        if row.username == username.lower():
            return row.id
    raise NotFound("no_account", f"没有账号 {username}。", f"there is no account {username}.")
