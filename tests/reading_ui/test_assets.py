"""Precompressed files reach browsers that take them, with the type of the plain file."""
import gzip

from flask import Flask

from reading_ui import assets


def _client(folder):
    (folder / "a.js").write_text("let x = 1;" * 50)
    (folder / "a.js.gz").write_bytes(gzip.compress((folder / "a.js").read_bytes()))
    (folder / "b.css").write_text("p{}")
    app = Flask("x", static_folder=str(folder), static_url_path="/static")
    assets.serve(app)
    return app.test_client()


def test_a_browser_that_takes_gzip_gets_the_smaller_file_under_the_same_name(tmp_path):
    answer = _client(tmp_path).get("/static/a.js", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and answer.mimetype == "text/javascript"
    assert gzip.decompress(answer.data) == (tmp_path / "a.js").read_bytes()
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_a_browser_that_takes_nothing_gets_the_plain_file(tmp_path):
    answer = _client(tmp_path).get("/static/a.js", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers and answer.data == (tmp_path / "a.js").read_bytes()


def test_a_file_without_a_smaller_twin_is_served_as_it_is(tmp_path):
    answer = _client(tmp_path).get("/static/b.css", headers={"Accept-Encoding": "gzip, br"})
    assert answer.data == b"p{}" and answer.mimetype == "text/css"


def test_paths_outside_the_folder_stay_outside(tmp_path):
    assert _client(tmp_path).get("/static/../x", headers={"Accept-Encoding": "gzip"}).status_code == 404
