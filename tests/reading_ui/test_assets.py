"""Built files go out in their smaller twin where the browser takes it."""
import gzip

import pytest

from reading_ui.app import create_app


@pytest.fixture
def client(county, tmp_path):
    app = create_app(county.hub)
    app.static_folder = str(tmp_path)
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "viewer.js").write_bytes(b"export {}")
    (tmp_path / "built" / "viewer.js.gz").write_bytes(gzip.compress(b"export {}"))
    return app.test_client()


def test_the_twin_is_sent_with_its_encoding_and_the_files_own_type(client):
    answer = client.get("/static/built/viewer.js", headers={"Accept-Encoding": "gzip, br"})
    assert answer.headers["Content-Encoding"] == "gzip" and answer.mimetype == "text/javascript"
    assert gzip.decompress(answer.data) == b"export {}" and "Accept-Encoding" in answer.headers["Vary"]


def test_a_browser_that_takes_no_encoding_gets_the_file_itself(client):
    answer = client.get("/static/built/viewer.js", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers and answer.data == b"export {}"


def test_nothing_outside_the_folder_is_sent(client):
    assert client.get("/static/built/../../../etc/passwd").status_code == 404
