"""Studies by their referring physician: the same answers in the same order by whatever way they are found."""
import random
from fnmatch import fnmatchcase
from itertools import product

import pytest
from sqlalchemy import select, text

from hub.flow import studies
from hub.model.arrival import PatientFacts
from hub.model.name_search import LITERAL
from hub.storage import referrers, search
from hub.storage.names import like_one_of
from hub.storage.search import Match
from hub.storage.tables import study
from tests.hub.arrivals import ecg_facts, send, slice_facts

PHYSICIANS = ["王^五", "王^小明", "王^六", "李^四", "WANG^WU", "", "赵^一", "钱^二", "王^五"]
PATTERNS = [("王^五",), ("王*",), ("*五",), ("?五",), ("李^四", "WANG*"), ("无^人",), ("王*", "赵^一", "钱?二")]


@pytest.fixture
def sent(hub, county):
    """Studies of two sites, each with what it tells: uid, site's device, physician, date, patient's name, modality, whether it is of DICOM."""
    chance, told = random.Random(5), []
    for number in range(60):
        uid, physician, name = f"1.2.{number + 1}", chance.choice(PHYSICIANS), chance.choice(("张三", "李娜"))
        at = chance.choice(("", "2026-05-03", *(f"2026-05-{day:02}T08:20:00" for day in range(1, 9))))
        who = PatientFacts(f"P{name}", name, name, False, "M", "1963-02-11", "063Y")
        device, modality, is_dicom = chance.choice((county.ct, county.other_ct)), chance.choice(("CT", "DX")), number % 7 > 0
        more = {"patient": who, "study_at": at, "referring_physician": physician}
        send(hub, device, slice_facts(1, uid, modality=modality, **more) if is_dicom else ecg_facts(uid, **more))
        if is_dicom:
            told.append((uid, device.site_id, physician, at, name, modality, number))
    return told


def fits(physician: str, patterns: tuple) -> bool:
    plain = physician.replace("^", "").lower()
    return any(physician and fnmatchcase(plain, pattern.replace("^", "").lower()) for pattern in patterns)


def newest_first(sent: list) -> list:
    return [one[0] for one in sorted(sent, key=lambda one: (one[3], one[6]), reverse=True)]


def uids(hub, actor, *matches, limit=100, offset=0, level="study"):
    return [row.study_uid for row in studies.matching(hub, actor, level, list(matches), limit, offset)]


@pytest.mark.parametrize("at_sight, at_once, given, near", [(60, 60, 300, 5_000), (0, 60, 300, 5_000), (0, 1, 300, 5_000), (0, 0, 300, 3), (0, 0, 300, 0), (1, 60, 2, 5_000), (0, 60, 1, 5_000)], ids=str)
def test_physicians_studies_are_found_by_whatever_way_newest_first(hub, county, sent, at_sight, at_once, given, near, monkeypatch):
    for room, name, value in ((search, "AT_SIGHT", at_sight), (search, "FEW", 0 if at_sight == 0 else 300), (referrers, "AT_ONCE", at_once), (referrers, "NEAR", near), (search, "NEAR_A_HIT", 0),
                              (referrers, "GIVEN", tuple(number for number in (1, 4, 15, 60, 300) if number < given) + (given,))):
        monkeypatch.setattr(room, name, value)
    for (actor, patterns) in product((county.reader, county.clinic), PATTERNS):
        own = [one for one in sent if actor is county.reader or one[1] == county.clinic.site_id]
        wanted = newest_first([one for one in own if fits(one[2], patterns)])
        by = Match("referring_physician", patterns)
        assert uids(hub, actor, by) == wanted, patterns
        assert [uid for at in range(0, len(wanted) + 3, 3) for uid in uids(hub, actor, by, limit=3, offset=at)] == wanted, patterns
        in_days = newest_first([one for one in own if fits(one[2], patterns) and "2026-05-02" <= one[3] <= "2026-05-05T99"])
        assert uids(hub, actor, by, Match("study_date", low="2026-05-02", high="2026-05-05")) == in_days, patterns
        of_one = newest_first([one for one in own if fits(one[2], patterns) and one[4] == "张三" and one[5] == "CT"])
        assert uids(hub, actor, by, Match("patient_name", ("张*",)), Match("modalities_in_study", ("CT",))) == of_one, patterns
        assert set(uids(hub, actor, by, level="series")) == set(wanted) == set(uids(hub, actor, by, level="instance")), patterns
        assert len(uids(hub, actor, by, level="patient")) == len({(one[1], one[4]) for one in own if one[0] in wanted}), patterns
    assert uids(hub, county.reader, Match("referring_physician", ("王*",)), Match("referring_physician", ("*五",))) == newest_first([one for one in sent if one[2] == "王^五"])


def test_of_a_physician_who_sent_many_studies_no_more_are_read_than_are_shown(hub):
    with hub.reading() as connection:
        found = select(study.c.id).where(referrers.each(1)[0]).order_by(study.c.study_at.desc(), study.c.id.desc()).limit(50).compile(dialect=connection.dialect)
        values = found.params | {"at0": 1, "by0": "王^五"}
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {found}", tuple(values[name] for name in found.positiontup)).all()
            assert [row.detail for row in plan] == ["SEARCH study USING COVERING INDEX ix_study_referring_physician (site_id=? AND referring_physician=?)"]
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {found}", values).scalars())
            assert "Backward using ix_study_referring_physician" in plan and "Sort" not in plan, plan


@pytest.mark.parametrize("pattern", ["王小*", "王?", "wang*"])
def test_a_name_asked_of_one_patient_after_the_other_is_never_looked_up_among_all_who_bear_it(hub, pattern):
    """Where a planner expects few of a name it would read all of them for each patient, and they are thousands: so it must not be able to,
    not even where the index that it should take is gone."""
    looks, values = like_one_of((pattern,), False, LITERAL, "k0_")
    with hub.writing() as connection:
        connection.execute(text("DROP INDEX ix_patient_name_patient_id_form_kind"))
        found = select(study.c.id).where(looks.fits(study.c.patient_id)).compile(dialect=connection.dialect)
        values |= found.params | values
        if connection.dialect.name == "sqlite":
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {found}", tuple(values[name] for name in found.positiontup)).all())
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {found}", values).scalars())
        assert "patient_name" in plan and "ix_patient_name_written" not in plan, plan
        connection.rollback()
