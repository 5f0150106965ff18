"""The retention desk and the disk's warning level, as the administrator's browser asks for them."""
import html
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from hub import health
from hub.flow import decisions, intake, retention
from hub.model.access import SYSTEM
from hub.storage.tables import decision, held, instance, job, reading, removal, study
from reading_ui import metrics
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("retention")) as made:
        made.chen = made.enter("chen")
        yield made


@pytest.fixture
def old(house):
    """A study of 1994 whose report is finished; returns its id."""
    study_id = house.county.study("QS", slices=2)
    with house.hub.writing() as connection:
        connection.execute(update(study).where(study.c.id == study_id).values(received_at=datetime(1994, 3, 1, tzinfo=UTC), study_at="1994-03-01T09:12:00", state="ready"))
        connection.execute(update(reading).where(reading.c.study_id == study_id).values(state="final"))
        connection.execute(update(job).values(state="done"))
    return study_id


def words(answer) -> str:
    return html.unescape(answer.text)


def remove(house, study_id, count="1"):
    return house.admin.post("/retention/remove", study=str(study_id), count=count, rules=house.hub.rules.retention.version)


def is_removed(house, study_id) -> bool:
    with house.hub.reading() as connection:
        return connection.scalar(select(removal.c.id).where(removal.c.study_id == study_id)) is not None


def test_what_may_go_is_listed_with_its_rule_and_nothing_goes_by_looking(house, old):
    page = words(house.admin.get("/retention"))
    assert f'value="{old}" checked' in page and "影像，末次就诊后 30 年" in page and "2024-03-01" in page and "第二十九条" in page
    assert not is_removed(house, old)


@pytest.mark.parametrize("count", ["", "2", "全部"])
def test_nothing_goes_unless_its_number_is_typed(house, old, count):
    answer = remove(house, old, count)
    assert answer.status_code == 400 and "数量" in words(answer) and not is_removed(house, old)


def test_what_was_confirmed_goes_and_whoever_opens_it_is_told(house, old):
    assert remove(house, old).status_code == 302 and is_removed(house, old)
    answer = house.chen.get(f"/studies/{old}")
    assert answer.status_code == 410 and "保存期限" in words(answer)
    assert "study.removed" in house.actions()


def test_what_does_not_fit_a_page_is_on_the_next(house, old, monkeypatch):
    show = retention.dry_run
    monkeypatch.setattr(retention, "dry_run", lambda hub, actor, after=0: show(hub, actor, after, most=1))
    seen, place = set(), "/retention"
    while place:
        page = words(house.admin.get(place))
        seen.update(re.findall(r'name="study" value="(\d+)"', page))
        assert ("回到开头" in page) == ("?" in place)
        place = next(iter(re.findall(r'href="(/retention\?after=\d+)">查看后面的候选', page)), "")
    assert str(old) in seen
    assert house.admin.get("/retention?after=x&cases_after=99999999999999999999").status_code == 200


def test_a_study_is_held_and_released_with_reasons_and_a_held_one_is_not_removed(house, old):
    assert house.admin.post("/retention/holds", study=str(old), words="").status_code == 400
    assert house.admin.post("/retention/holds", study=str(old), words="医疗纠纷").status_code == 302
    assert "医疗纠纷" in words(house.admin.get("/retention"))
    answer = remove(house, old)
    assert answer.status_code == 409 and f"#{old} 已冻结" in words(answer) and not is_removed(house, old)
    [one] = [row for row in retention.holds(house.hub, SYSTEM) if row.study_id == old]
    assert house.admin.post(f"/retention/holds/{one.id}/end", words="已结案").status_code == 302
    assert remove(house, old).status_code == 302


@pytest.mark.parametrize(("warning", "floor", "state", "low", "up"), [(0, 0, "ok", 0, 1), (10**7, 0, "low_space", 1, 1), (10**7, 10**7, "out_of_space", 1, 0)])
def test_the_disk_warns_before_it_refuses(house, warning, floor, state, low, up):
    hub = replace(house.hub, settings=replace(house.hub.settings, free_space_warning_mb=warning, free_space_floor_mb=floor))
    assert health.check(hub)["files"] == state
    page = metrics.page(hub)
    assert f"hub_disk_low {low}" in page and f'hub_part_up{{part="files"}} {up}' in page and 'hub_disk_bytes{what="free"}' in page


def test_the_operations_desk_says_how_much_room_is_left(house):
    assert "磁盘剩余" in words(house.admin.get("/operations"))


@pytest.fixture
def put_away(house):
    """An object that was discarded in 1994; returns the case."""
    content = f"junk {house.hub.now()} {len(house.actions())}".encode()
    case = intake.quarantine(house.hub, house.county.devices["QS"], "dicom", (house.hub.blobs.keep(content, "x.dcm"),), "unparsable").held_id
    decisions.discard(house.hub, SYSTEM, case, "无法解析")
    with house.hub.writing() as connection:
        connection.execute(update(held).where(held.c.id == case).values(received_at=datetime(1994, 3, 1, tzinfo=UTC), resolved_at=datetime(1994, 3, 2, tzinfo=UTC)))
    return case


def test_the_list_says_which_objects_of_the_quarantine_desk_go_with_a_study(house, old):
    """A second version of a slice that was not chosen, decided upon in 1994."""
    case = intake.quarantine(house.hub, house.county.devices["QS"], "dicom", (house.hub.blobs.keep(b"b" * 2048, "x.dcm"),), "unparsable").held_id
    with house.hub.writing() as connection:
        first = connection.scalar(select(instance.c.id).where(instance.c.study_id == old).order_by(instance.c.id).limit(1))
        connection.execute(update(held).where(held.c.id == case).values(reason="same_uid_other_bytes", instance_id=first))
    decisions.keep_first(house.hub, SYSTEM, case, "以先到的为准")
    assert "近期更正过信息" in words(house.admin.get("/retention"))
    with house.hub.writing() as connection:
        connection.execute(update(decision).where(decision.c.held_id == case).values(at=datetime(1994, 3, 2, tzinfo=UTC)))
    page = words(house.admin.get("/retention"))
    assert "另有 1 个隔离对象" in page and "随检查一并移除" in page
    assert remove(house, old).status_code == 302
    page = words(house.admin.get(f"/held/{case}"))
    assert "只留墓碑记录" in page and "撤销处理" not in page and "下载原件" not in page


def test_a_discarded_object_is_listed_and_goes_when_its_number_is_typed(house, put_away):
    page = words(house.admin.get("/retention"))
    assert f'name="case" value="{put_away}" checked' in page and "弃用后 30 年" in page and "2024-03-02" in page
    rules = house.hub.rules.retention.version
    assert house.admin.post("/retention/discarded", case=str(put_away), count="", rules=rules).status_code == 400
    answer = house.admin.post("/retention/discarded", case=str(put_away), count="1", rules=rules)
    assert answer.status_code == 302 and answer.location.endswith("#removed-cases")
    page = words(house.admin.get("/retention"))
    assert f'name="case" value="{put_away}"' not in page and "已移除的隔离对象" in page and "held.removed" in house.actions()
    assert "已移除" in words(house.admin.get("/held?state=removed"))
    page = words(house.admin.get(f"/held/{put_away}"))
    assert "只留墓碑记录" in page and "撤销处理" not in page and "下载原件" not in page
    assert house.admin.get(f"/held/{put_away}/files/0").status_code == 404
    assert house.admin.get(f"/held/{put_away}/pictures/second.jpg").status_code == 404


def test_a_discarded_object_whose_term_is_over_cannot_be_taken_back(house, put_away):
    answer = house.admin.post(f"/held/{put_away}/undo")
    assert answer.status_code == 409 and "保存期已满" in words(answer)
