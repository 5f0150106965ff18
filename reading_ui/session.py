"""Coming in and going out: sign-in, sign-out, one's own password, the language of the pages."""
from __future__ import annotations

from flask import Blueprint, g, redirect, render_template, request, session, url_for

from hub import accounts
from hub.errors import HubError, Invalid
from reading_ui.errors import status_of
from reading_ui.gate import ANYBODY_SIGNED_IN, COOKIE, needs, the_actor, the_hub
from reading_ui.language import LANGUAGES, sentence
from reading_ui.navigation import home_of
from reading_ui.places import own_path

desk = Blueprint("session", __name__)


@desk.get("/")
@needs(ANYBODY_SIGNED_IN)
def home():
    return redirect(url_for(home_of(the_actor())))


@desk.route("/sign-in", methods=["GET", "POST"])
def sign_in():
    there = own_path(request.values.get("next", ""))
    if request.method == "GET":
        if g.actor is not None:
            return redirect(there or url_for("session.home"))
        return render_template("sign_in.html", there=there, username="", trouble="")
    username, password = request.form.get("username", ""), request.form.get("password", "")
    try:
        if not username.strip() or not password:
            raise Invalid("empty", "请输入用户名和密码。", "enter your user name and password.")
        token = accounts.sign_in(the_hub(), username, password, request.remote_addr or "")
    except HubError as error:
        return render_template("sign_in.html", there=there, username=username, trouble=sentence(error.zh, error.en)), status_of(error)
    chosen = session.get("language")
    session.clear()
    if chosen:
        session["language"] = chosen
    return _keep_token(redirect(there or url_for("session.home")), token)


@desk.post("/sign-out")
@needs(ANYBODY_SIGNED_IN)
def sign_out():
    accounts.sign_out(the_hub(), request.cookies.get(COOKIE, ""), the_actor())
    session.clear()
    response = redirect(url_for("session.sign_in"))
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax", secure=request.is_secure)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@desk.route("/password", methods=["GET", "POST"])
@needs(ANYBODY_SIGNED_IN)
def password():
    trouble, status = "", 200
    if request.method == "POST":
        old, new, again = (request.form.get(name, "") for name in ("old", "new", "again"))
        try:
            if new != again:
                raise Invalid("not_the_same", "两次输入的新密码不一致。", "the two new passwords differ.")
            if new == old:
                raise Invalid("same_as_before", "新密码不能与原密码相同。", "the new password must differ from the old one.")
            accounts.change_password(the_hub(), the_actor(), old, new)
            token = accounts.sign_in(the_hub(), g.account.username, new, request.remote_addr or "")
            return _keep_token(redirect(url_for("session.home")), token)
        except HubError as error:
            trouble, status = sentence(error.zh, error.en), status_of(error)
    return render_template("password.html", trouble=trouble, must=g.account.must_change_password,
                           shortest=accounts.SHORTEST_PASSWORD), status


@desk.post("/language")
def language():
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        raise Invalid("bad_language", "语言只能是中文或英文。", "the language is zh or en.")
    session["language"] = chosen
    if g.actor is not None:
        accounts.set_language(the_hub(), g.actor, chosen)
    return redirect(own_path(request.form.get("next", "")) or url_for("session.home"))


def _keep_token(response, token: str):
    response.set_cookie(COOKIE, token, httponly=True, samesite="Lax", secure=request.is_secure, path="/")
    return response
