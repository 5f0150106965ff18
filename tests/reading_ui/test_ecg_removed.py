"""An ECG whose original was removed by rule: its page says so beside its report, and nothing of it is drawn or compared."""
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from hub.flow import retention
from hub.storage.tables import job, reading, study
from tests.reading_ui.county import ecg_csv
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("removed-ecg")) as made:
        made.chen = made.enter("chen")
        yield made


def an_ecg(house, study_at):
    return house.county.study("QS", patient="林保存", number="KEPT1", modality="ECG", body_part="", kind="ecg", slices=1, files=[ecg_csv()], told=False, study_at=study_at)


@pytest.fixture(scope="module")
def removed(house):
    """An ECG of 1994 with a finished report, removed by the administrator; returns its id."""
    study_id = an_ecg(house, "1994-03-01T09:12:00")
    with house.hub.writing() as connection:
        connection.execute(update(study).where(study.c.id == study_id).values(received_at=datetime(1994, 3, 1, tzinfo=UTC), state="ready"))
        connection.execute(update(reading).where(reading.c.study_id == study_id).values(state="final"))
        connection.execute(update(job).values(state="done"))
    answer = house.admin.post("/retention/remove", study=str(study_id), count="1", rules=house.hub.rules.retention.version)
    assert answer.status_code == 302 and retention.removal_of(house.hub, study_id) is not None, answer.text
    return study_id


def test_its_page_says_when_the_original_went_and_keeps_the_report(house, removed):
    answer = house.chen.get(f"/ecgs/{removed}")
    assert answer.status_code == 410
    assert "心电波形" in answer.text and "保存期限" in answer.text and "林保存" in answer.text and 'id="report"' in answer.text
    assert "ecg-sheet" not in answer.text and "ecg.dcm" not in answer.text and "无法自动测量" not in answer.text


@pytest.mark.parametrize("place", ["sheet.svg", "ecg.dcm", "compare", "compare.svg"])
def test_nothing_of_it_is_drawn_or_taken_away_and_the_answer_says_why(house, removed, place):
    answer = house.chen.get(f"/ecgs/{removed}/{place}", accept="application/json")
    assert answer.status_code == 410 and answer.json["code"] == "removed" and "保存期限" in answer.json["message"]


def test_a_later_ecg_is_compared_with_the_last_one_that_is_kept(house, removed):
    later, last = an_ecg(house, "2026-01-05T08:00:00"), an_ecg(house, "2026-03-02T09:14:00")
    assert "与前次心电图比较" not in house.chen.get(f"/ecgs/{later}").text
    assert house.chen.get(f"/ecgs/{later}/compare?with={removed}", accept="application/json").status_code == 410
    assert f"with={later}" in house.chen.get(f"/ecgs/{last}/compare").text
