"""The gate: every route is shut unless it is in OPEN or its view declares who may pass.

A view declares its permission with ``needs``; a view that declares nothing is shut to everybody, so that a
forgotten declaration is seen at once and never lets anybody through. Which patients a person may see is
decided behind the gate by the hub itself.
"""
from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app, g, redirect, request, url_for

from hub import accounts
from hub.context import Hub
from hub.errors import Refused
from hub.model.access import Actor

COOKIE = "hub_session"
ANYBODY_SIGNED_IN = "signed in"

# The only routes that answer people who have not signed in.
OPEN = frozenset({"static", "session.sign_in", "session.language", "reports.verify"})

# Routes that a person with a password to change may still use.
BEFORE_NEW_PASSWORD = frozenset({"session.password", "session.sign_out", "session.language", "static"})

# Requests that a page makes by itself: they do not keep an idle session alive.
BY_ITSELF = frozenset({"worklist.events", "worklist.table", "clinic.table", "orders.table", "operations.now", "devices.callers", "checkups.sample"})


def needs(*permissions: str) -> Callable:
    """Declares that a view is for people who hold any of ``permissions`` (or ANYBODY_SIGNED_IN)."""
    def declare(view):
        view.needs = permissions
        return view
    return declare


def the_hub() -> Hub:
    """The open hub behind this application."""
    return current_app.extensions["hub"]


def the_actor() -> Actor:
    """The person who asks. Only behind the gate."""
    return g.actor


def guard(app: Flask, outer_doors: dict[str, tuple[str, ...]] | None = None) -> None:
    """Puts the gate before every request. ``outer_doors``: blueprint name -> permissions, for blueprints of other
    rooms whose views declare nothing themselves; an empty tuple means that the blueprint checks its callers itself."""
    app.extensions["outer_doors"] = dict(outer_doors or {})
    app.before_request(_check)


def declared(app: Flask, endpoint: str) -> tuple[str, ...] | None:
    """What an endpoint needs: () for open, permissions, or None where nothing is declared and it is shut."""
    if endpoint in OPEN:
        return ()
    view = app.view_functions[endpoint]
    if hasattr(view, "needs"):
        return view.needs
    return app.extensions["outer_doors"].get(endpoint.partition(".")[0])


def may_pass(needed: tuple[str, ...], actor: Actor) -> bool:
    """Whether this person holds one of the permissions."""
    return ANYBODY_SIGNED_IN in needed or any(actor.may(one) for one in needed)


def _check():
    g.account = g.actor = None
    if request.endpoint == "static":
        return None
    token = request.cookies.get(COOKIE, "")
    if token:
        ask = accounts.glance if request.endpoint in BY_ITSELF else accounts.who
        known = ask(the_hub(), token, request.remote_addr or "")
        if known is not None:
            g.account, g.actor = known
    if request.endpoint is None:
        return None
    needed = declared(current_app, request.endpoint)
    if needed == ():
        return None
    if g.actor is None:
        return _ask_to_sign_in()
    if g.account.must_change_password and request.endpoint not in BEFORE_NEW_PASSWORD:
        return redirect(url_for("session.password"))
    if needed is None or not may_pass(needed, g.actor):
        raise Refused("not_allowed", "您的角色没有这项权限。如需办理，请联系管理员。",
                      "your role does not include this; ask the administrator.")
    return None


def _ask_to_sign_in():
    from_script = request.method != "GET" or "text/html" not in request.headers.get("Accept", "") or request.endpoint in BY_ITSELF
    if from_script:
        raise SignInFirst("signed_out", "登录已结束，请重新登录。已输入的文字仍保留在本页。",
                          "the session has ended; sign in again. What you typed is still on the page.")
    there = request.full_path.rstrip("?") if request.path != "/" else None
    return redirect(url_for("session.sign_in", next=there))


class SignInFirst(Refused):
    """Nobody is signed in: answered with 401 to scripts, with the sign-in page to people."""
