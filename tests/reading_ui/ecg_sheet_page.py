"""A page with nothing on it but the ECG sheet, under the strictest page policy, for the browser tests."""
from pathlib import Path

from flask import Flask, Response, request

import reading_ui
from ecg.recording import Recording
from ecg.render import BadSheetOption, SheetHeading, compose, options_from_query, svg

STATIC = Path(reading_ui.__file__).parent / "static"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'"
PAGE = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>心电图</title>
<link rel="stylesheet" href="/static/ecg/sheet.css"><link rel="stylesheet" href="/page.css">
<script type="module" src="/static/ecg/start.js"></script></head>
<body><button id="pointing" data-ecg-leads="II,aVF" data-ecg-t0="1" data-ecg-t1="2">II aVF</button>
<input id="typed"><div id="ecg-sheet" data-sheet-url="/sheet.svg"
 data-beats='[{"t_s": 1, "label": "N"}, {"t_s": 2, "label": "V"}]'></div></body></html>"""


def page_of(recording: Recording, heading: SheetHeading = SheetHeading()) -> Flask:
    app = Flask(__name__, static_folder=str(STATIC), static_url_path="/static")
    app.refuse = False

    @app.after_request
    def policy(response):
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/")
    def page():
        return PAGE

    @app.get("/page.css")
    def page_css():
        return Response("html,body{margin:0;height:100%}body{display:flex;flex-direction:column}"
                        "#pointing,#typed{position:fixed;top:-40px}#pointing:focus{top:0}#ecg-sheet{flex:1}",
                        mimetype="text/css")

    @app.get("/sheet.svg")
    def sheet():
        if app.refuse:
            return "busy", 503
        try:
            options = options_from_query(request.args)
        except BadSheetOption as refused:
            return refused.zh, 400
        return Response(svg(compose(recording, options, heading)), mimetype="image/svg+xml")

    return app
