"""Studies from before the hub kept their referring physician and Study ID: the migration touches no row, workers ask the files."""
import gzip
import json

import pytest
from alembic import command
from sqlalchemy import insert, select, text

from dicom_gateway.web import metadata
from hub.context import open_hub
from hub.flow import jobs, repairs, studies, untold
from hub.flow.repairs import Wanted
from hub.flow.studies import Match
from hub.model.access import SYSTEM, Actor
from hub.settings import Settings
from hub.storage import migration, tables
from tests.dicom_gateway.running import as_file, slice_of_ct
from tests.hub.arrivals import rows, send_ct, study_row

CHINESE = dict(SpecificCharacterSet="GB18030", ReferringPhysicianName="欧阳^明", StudyID="S-10")
DESK = Actor(None, "登记", "administrator")


@pytest.fixture
def old(tmp_path, databases):
    """A hub as it was before, with five studies: 1 to 3 have their file, that of 4 is junk, 5 is an ECG; 2 was corrected already."""
    url = databases.new(tmp_path / "old")
    hub = open_hub(Settings(data_dir=str(tmp_path / "old"), database_url=url))
    command.upgrade(migration.configuration(hub.engine), "0020")
    now = "2026-05-04 00:30:00.000000" if hub.engine.dialect.name == "sqlite" else "2026-05-04T00:30:00+00:00"
    files = {1: as_file(slice_of_ct(1, "1.2.1", **CHINESE)), 2: as_file(slice_of_ct(1, "1.2.2", **CHINESE)),
             3: as_file(slice_of_ct(1, "1.2.3", ReferringPhysicianName="WANG^WU")), 4: b"junk"}
    kept = {number: hub.blobs.keep(content).sha256 for number, content in files.items()}
    with hub.writing() as connection:
        _put(connection, "site", id=1, code="QS", name="青山", level="", phone="", language="zh", active=True, created_at=now)
        _put(connection, "patient", id=7, site_id=1, identity_key="P1", patient_id="P1", name="王小明", name_as_sent="王^小明", name_unsure=False, sex="M", birth_date="", age="", created_at=now)
        for number in range(1, 6):
            is_ecg = number == 5
            _put(connection, "study", id=number, study_uid=f"1.2.{number}", kind="ecg" if is_ecg else "image", site_id=1, patient_id=7, modality="CT", body_part="", description="",
                 accession_number="", study_at="", institution="", device_model="", state="receiving", urgency="routine", summary="", instances=1, late=0, resent=0,
                 association_open=False, proof="{}", problems="[]", flags="{}", generation=1, received_at=now, last_received_at=now, holds_dicom=not is_ecg)
            _put(connection, "series", id=number, study_id=number, series_uid=f"1.2.{number}.1", modality="CT", description="", body_part="")
            _put(connection, "instance", id=number, series_id=number, study_id=number, sop_uid=f"1.2.{number}.1.1", sop_class="1.2", transfer_syntax="1.2", format="scp" if is_ecg else "dicom",
                 sha256=kept.get(number, "0" * 64), size=1, files="[]", declared="{}", frames=1, orientation="", late=False, calling="", notes="[]", received_at=now)
        _put(connection, "repair", study_id=2, level="study", tag="00200010", keyword="StudyID", vr="SH", old="S-10", new="S-11", why="旧更正", who="登记", role="administrator", at=now)
    migration.migrate(hub.engine)
    yield hub
    hub.close()
    databases.drop(url)


def _put(connection, table: str, **values) -> None:
    connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(':' + name for name in values)})"), values)


def told(hub) -> dict[int, tuple]:
    with hub.reading() as connection:
        return {row.id: tuple(row)[1:] for row in connection.execute(select(
            tables.study.c.id, tables.study.c.referring_physician, tables.study.c.referring_unsure, tables.study.c.study_number).order_by(tables.study.c.id))}


def ask(hub) -> list[str]:
    """Runs what was ordered; the states of all jobs of the kind."""
    for one in rows(hub, tables.job, tables.job.c.kind == "tell_older", tables.job.c.state == "due"):
        jobs.perform(hub, one.id)
    return [one.state for one in rows(hub, tables.job, tables.job.c.kind == "tell_older")]


def found(hub, **keys) -> list[int]:
    return [row.id for row in studies.matching(hub, SYSTEM, "study", [Match(field, (value,)) for field, value in keys.items()], 10)]


def test_older_studies_are_told_and_found_when_their_files_were_asked_newest_first(old, monkeypatch):
    monkeypatch.setattr(untold, "AT_ONCE", 2)
    assert told(old) == {number: (None, None, None) for number in range(1, 6)} and found(old, referring_physician="欧阳*") == []
    assert untold.order(old) == 2 and untold.order(old) == 0, "one job at a time"
    assert ask(old) == ["done"]
    assert told(old) == {1: (None,) * 3, 2: (None,) * 3, 3: (None,) * 3, 4: ("", False, ""), 5: ("", False, "")}, "what cannot be read is not asked for ever"
    while untold.order(old):
        assert set(ask(old)) == {"done"}
    assert told(old) == {1: ("欧阳^明", False, "S-10"), 2: ("欧阳^明", False, "S-11"), 3: ("WANG^WU", False, ""), 4: ("", False, ""), 5: ("", False, "")}
    assert found(old, referring_physician="欧阳明") == [2, 1] and found(old, study_number="S-10") == [1] and found(old, referring_physician="wang^*") == [3]
    assert study_row(old, 2).as_sent == {"study_number": "S-10"}, "an older correction stands in the index, too"


def test_what_was_corrected_before_a_study_was_asked_stands_and_its_undo_gives_what_was_sent(old):
    repairs.correct(old, DESK, 1, Wanted(old.rules.repairs.attribute("00080090"), "赵^云", "核实", old="欧阳^明"), 0)
    assert told(old)[1] == ("赵^云", None, None)
    untold.order(old)
    assert ask(old) == ["done"]
    assert told(old)[1] == ("赵^云", False, "S-10") and found(old, referring_physician="赵云") == [1]
    repairs.undo(old, DESK, rows(old, tables.repair, tables.repair.c.study_id == 1)[0].id)
    assert told(old)[1] == ("欧阳^明", False, "S-10") and found(old, referring_physician="赵云") == []


def test_an_older_study_whose_file_is_packed_is_told_by_its_prepared_metadata(old):
    line = json.dumps({"00080090": {"vr": "PN", "Value": [{"Alphabetic": "Wang^Wu", "Ideographic": "王^五"}]}, "00200010": {"vr": "SH", "Value": ["20"]}}).encode()
    file = old.blobs.keep(gzip.compress(line))
    (one,) = rows(old, tables.instance, tables.instance.c.id == 3)
    old.blobs.path(one.sha256).unlink()
    with old.writing() as connection:
        connection.execute(insert(tables.artifact).values(study_id=3, instance_id=None, kind=metadata.KIND, place=0, sha256=file.sha256, size=file.size,
                                                          media_type=metadata.MEDIA_TYPE, about={"instances": [3]}, made_at=old.now()))
    untold.order(old)
    assert ask(old) == ["done"] and told(old)[3] == ("Wang^Wu=王^五", False, "20")


def test_nothing_is_ordered_where_every_study_was_told_on_arrival(hub, county):
    send_ct(hub, county.ct, "1.2.3")
    send_ct(hub, county.ct, "1.2.4", referring_physician="王^五", study_number="4")
    assert untold.order(hub) == 0 and rows(hub, tables.job, tables.job.c.kind == "tell_older") == []
