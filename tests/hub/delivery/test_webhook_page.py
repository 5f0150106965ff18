"""docs/webhook.md: the receiver's example runs as it stands, on what the hub really sends; its table is the body's."""
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from hub.delivery import webhook
from hub.delivery.parcel import Parcel
from tests.hub.delivery.test_webhook import Receiver

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "webhook.md").read_text("utf-8")
SECRET, SENT_AT, PDF = "密钥 one", datetime(2026, 11, 23, 4, 0, tzinfo=UTC), b"%PDF-1.7 example"


@pytest.fixture(scope="module")
def checked():
    """The example's function, from the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(compile(code, "docs/webhook.md", "exec"), names)
    return names["checked"]


@pytest.fixture(scope="module")
def came():
    """Path, headers and body of one delivery, as a real receiver gets it."""
    receiver = Receiver()
    thread = Thread(target=receiver.server.handle_request)
    thread.start()
    try:
        parcel = Parcel("key-1", PDF, hashlib.sha256(PDF).hexdigest(), {"url": receiver.url, "secret": SECRET}, 1, "QS-2026-000001", 1, SENT_AT,
                        "1.2.3", "A1", "CT", "2026-11-23T08:00:00", "P1", "测试甲", "M", "1960-01-01", "QS", "青山镇卫生院", "县医院",
                        "未见异常。", False, False, "王报告", "李审核")
        assert webhook.deliver(SimpleNamespace(now=lambda: SENT_AT), parcel) == "HTTP 200"
    finally:
        thread.join()
        receiver.server.server_close()
    return receiver.came[0]


def test_the_example_accepts_what_the_hub_sends(checked, came):
    _, headers, body = came
    news = checked(SECRET, headers, body, now=SENT_AT.timestamp() + 10)
    assert (news["report_number"], news["patient_name"]) == ("QS-2026-000001", "测试甲")


@pytest.mark.parametrize("fault", ["another secret", "a changed body", "too old", "no signature"])
def test_the_example_refuses_what_it_should(fault, checked, came):
    _, headers, body = came
    secret, now = SECRET, SENT_AT.timestamp()
    if fault == "another secret":
        secret = "other"
    elif fault == "a changed body":
        body = body.replace(b"P1", b"P2")
    elif fault == "too old":
        now += 301
    else:
        headers = {name: value for name, value in headers.items() if name != "X-Hub-Signature"}
    with pytest.raises(ValueError):
        checked(secret, headers, body, now=now)


def test_the_page_lists_every_header_and_field_and_no_other(came):
    _, headers, body = came
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
    sent = [name for name in rows if name in headers]
    assert {"Idempotency-Key", "X-Hub-Timestamp", "X-Hub-Signature", "Content-Type", "User-Agent"} == set(sent)
    assert set(rows) - set(sent) == set(json.loads(body))
