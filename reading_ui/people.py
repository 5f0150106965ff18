"""The account desk: who may sign in as what, and passwords that are made here and shown once."""
from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for

from hub import accounts
from hub.errors import HubError, Invalid, NotFound
from hub.flow import administration
from hub.model.access import ROLES
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("people", __name__)
FIELDS = ("username", "display_name", "title", "role", "site")


@desk.get("/accounts")
@needs("account.manage")
def page():
    hub = the_hub()
    role = request.args.get("role") if request.args.get("role") in ROLES else ""
    rows = accounts.listed(hub, the_actor())
    counts = {one: sum(row.role == one for row in rows) for one in ROLES}
    return render_template("people.html", rows=[row for row in rows if role in ("", row.role)], roles=ROLES, role=role, counts=counts,
                           total=len(rows), now=hub.now())


@desk.get("/accounts/new")
@needs("account.manage")
def new():
    return _form({})


@desk.post("/accounts/new")
@needs("account.manage")
def add():
    """A new account with a made password, shown in this answer and nowhere else, to be changed at the first sign-in."""
    values = {name: request.form.get(name, "").strip() for name in FIELDS}
    password = accounts.make_password()
    try:
        if not values["display_name"]:
            raise Invalid("no_name", "请填写姓名，它会出现在报告上。", "give the name as it stands on reports.")
        account_id = accounts.create(the_hub(), the_actor(), username=values["username"], password=password, display_name=values["display_name"],
                                     role=values["role"], site_id=_site(values), title=values["title"], must_change_password=True)
    except HubError as error:
        return _form(values, sentence(error.zh, error.en)), status_of(error)
    return _one(account_id, password=password)


@desk.get("/accounts/<int:account_id>")
@needs("account.manage")
def one(account_id: int):
    return _one(account_id)


@desk.post("/accounts/<int:account_id>/password")
@needs("account.manage")
def reset_password(account_id: int):
    """A made password, shown in this answer and nowhere else; every session of the account has ended."""
    if account_id == the_actor().account_id:
        return _one(account_id, trouble=sentence("自己的密码请在右上角“修改密码”处更改。", "change your own password in the menu at the top right.")), 403
    password = accounts.make_password()
    accounts.reset_password(the_hub(), the_actor(), account_id, password)
    return _one(account_id, password=password)


@desk.post("/accounts/<int:account_id>/role")
@needs("account.manage")
def set_role(account_id: int):
    return _done(account_id, lambda: accounts.set_role(the_hub(), the_actor(), account_id, request.form.get("role", ""), _site(request.form)))


@desk.post("/accounts/<int:account_id>/active")
@needs("account.manage")
def set_active(account_id: int):
    return _done(account_id, lambda: accounts.set_active(the_hub(), the_actor(), account_id, request.form.get("active") == "yes"))


@desk.post("/accounts/<int:account_id>/unlock")
@needs("account.manage")
def unlock(account_id: int):
    return _done(account_id, lambda: accounts.unlock(the_hub(), the_actor(), account_id))


def _done(account_id: int, change):
    try:
        change()
    except NotFound:
        raise
    except HubError as error:
        return _one(account_id, trouble=sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("people.one", account_id=account_id))


def _one(account_id: int, password: str = "", trouble: str = "") -> str:
    hub = the_hub()
    row = next((one for one in accounts.listed(hub, the_actor()) if one.id == account_id), None)
    if row is None:
        raise NotFound("not_found", "没有这个账号。", "no such account.")
    return render_template("person.html", row=row, password=password, trouble=trouble, roles=ROLES, sites=administration.sites(hub), now=hub.now(),
                           myself=account_id == the_actor().account_id)


def _form(values: dict, trouble: str = "") -> str:
    return render_template("person_new.html", values=values, trouble=trouble, roles=ROLES, sites=administration.sites(the_hub()))


def _site(values) -> int | None:
    """The site of a clinic's account. Every other role belongs to the centre."""
    written = values.get("site", "")
    if values.get("role") != "clinic" or not written:
        return None
    if not written.isdigit() or len(written) > 18:
        raise Invalid("no_site", "没有这个机构。", "no such institution.")
    return int(written)
