"""How a refusal reaches a person: a sentence in their language and the status that says what kind it is."""
from __future__ import annotations

import logging

from flask import Flask, jsonify, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from hub.errors import Conflict, Gone, HubError, Invalid, NotFound, OutOfSpace, Refused, Retryable
from reading_ui.gate import SignInFirst
from reading_ui.language import sentence

STATUS = ((SignInFirst, 401), (Refused, 403), (Gone, 410), (NotFound, 404), (Conflict, 409), (Invalid, 400), (OutOfSpace, 507),
          (Retryable, 503))
log = logging.getLogger(__name__)


def status_of(error: HubError) -> int:
    """The HTTP status of a named error; 400 for any that has no line of its own."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 400)


def wants_json() -> bool:
    """Whether a script asks, and not a person's browser window."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return request.is_json or best == "application/json"


def answer(app: Flask) -> None:
    """Lets every error of a request end in an honest answer."""
    app.register_error_handler(HubError, _hub_error)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _surprise)


def _hub_error(error: HubError):
    return _answer(status_of(error), error.code, sentence(error.zh, error.en))


def _csrf_error(error: CSRFError):
    return _answer(400, "form_expired", _("页面已过期，请刷新页面后重新提交。您输入的内容没有丢失，可返回上一页复制。"))


def _http_error(error: HTTPException):
    if error.code is None or error.code < 400:
        return error
    words = {404: _("没有找到这个页面。"), 405: _("不支持这样的请求。"), 413: _("提交的内容过大。"),
             429: _("尝试过于频繁，请一分钟后再试。")}
    return _answer(error.code, f"http_{error.code}", words.get(error.code, _("请求有误，请返回后重试。")))


def _surprise(error: Exception):
    log.exception("request failed: %s %s", request.method, request.path)
    return _answer(500, "internal", _("系统内部出错，操作可能没有完成。错误已记录，请刷新后核对结果，必要时联系管理员。"))


def _answer(status: int, code: str, words: str):
    if wants_json():
        return jsonify(code=code, message=words), status
    return render_template("error.html", status=status, code=code, words=words), status
