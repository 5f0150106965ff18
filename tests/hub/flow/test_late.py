"""Images that come after the signature are shown to the readers until somebody answers for the report."""
import pytest
from sqlalchemy import select, text

from hub.errors import Conflict, Invalid, Refused
from hub.flow import late, reporting
from hub.flow.administration import verify_audit
from hub.storage.tables import SIGNED_WITHOUT_SOME, audit, instance, reading, report
from tests.hub.arrivals import close_and_prepare, drafted, queued_ct, reading_row, rows, send, signed_report, slice_facts, study_row


@pytest.fixture
def signed(hub, county, clock) -> tuple[int, int]:
    """(reading, study) of a report that went out."""
    row, = rows(hub, report, report.c.id == signed_report(hub, county, clock))
    clock.forward(seconds=600)
    return row.reading_id, row.study_id


def test_a_signed_report_waits_for_nobody_until_an_image_comes_late(hub, county, clock, signed):
    assert late.after_signing(hub, county.reader) == []
    send(hub, county.ct, slice_facts(4))
    told, = late.after_signing(hub, county.reader)
    assert (told.id, told.study_id, told.images, told.study_state, told.patient_name) == (*signed, 1, "reopened", "测试甲")
    assert told.number and told.proof == "3/3 幅，无间断（完整）"


def test_all_that_comes_after_the_first_late_image_is_counted_and_said_on_the_proof(hub, county, clock, signed):
    for number in (4, 5, 6):
        clock.forward(seconds=1)
        send(hub, county.ct, slice_facts(number))
    close_and_prepare(hub, clock, signed[1])
    told, = late.after_signing(hub, county.reader)
    assert (told.images, told.study_state) == (3, "ready")
    row = study_row(hub, signed[1])
    assert row.proof["zh"].endswith("，3 幅为补传") and row.late == 3
    assert [one.late for one in rows(hub, instance, instance.c.study_id == row.id)] == [False] * 3 + [True] * 3


def test_an_amendment_answers_for_it(hub, county, clock, signed):
    send(hub, county.ct, slice_facts(4))
    close_and_prepare(hub, clock, signed[1])
    reporting.amend(hub, county.reader, signed[0], "补传了一幅图像")
    assert late.after_signing(hub, county.reader) == []
    reporting.submit(hub, county.reader, signed[0])
    reporting.sign(hub, county.reviewer, signed[0])
    assert late.after_signing(hub, county.reader) == []


def test_a_reader_says_with_a_reason_that_the_report_stands_and_the_next_image_asks_again(hub, county, clock, signed):
    send(hub, county.ct, slice_facts(4))
    for words in ("", " ", "x"):
        with pytest.raises(Invalid):
            late.report_stands(hub, county.reader, signed[0], words)
    with pytest.raises(Refused):
        late.report_stands(hub, county.clinic, signed[0], "与诊断无关")
    late.report_stands(hub, county.reader, signed[0], "补传为定位像，结论不变")
    assert late.after_signing(hub, county.reader) == [] and not reading_row(hub, signed[0]).late_images
    assert rows(hub, audit)[-1].action == "report.stands" and "定位像" in rows(hub, audit)[-1].detail
    with pytest.raises(Conflict):
        late.report_stands(hub, county.reviewer, signed[0], "又看了一遍")
    close_and_prepare(hub, clock, signed[1])
    send(hub, county.ct, slice_facts(5))
    assert len(late.after_signing(hub, county.reader)) == 1
    assert verify_audit(hub).broken_at is None


def test_what_comes_after_an_amendment_while_the_study_is_still_open_is_not_passed_over(hub, county, clock, signed):
    send(hub, county.ct, slice_facts(4))
    reporting.amend(hub, county.reader, signed[0], "补传了一幅图像")
    reporting.submit(hub, county.reader, signed[0])
    reporting.sign(hub, county.reviewer, signed[0])
    clock.forward(seconds=5)
    send(hub, county.ct, slice_facts(5))
    close_and_prepare(hub, clock, signed[1])
    told, = late.after_signing(hub, county.reader)
    assert (told.id, told.images) == (signed[0], 1)


def test_what_was_seen_is_not_asked_again_when_the_study_closes(hub, county, clock, signed):
    send(hub, county.ct, slice_facts(4))
    clock.forward(seconds=5)
    late.report_stands(hub, county.reader, signed[0], "补传为定位像，结论不变")
    close_and_prepare(hub, clock, signed[1])
    assert late.after_signing(hub, county.reader) == []


def test_a_report_that_is_not_signed_yet_is_not_on_the_list(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    drafted(hub, county.reader, reading_id)
    reporting.submit(hub, county.reader, reading_id)
    clock.forward(seconds=60)
    send(hub, county.ct, slice_facts(4))
    assert late.after_signing(hub, county.reader) == []
    with pytest.raises(Conflict):
        late.report_stands(hub, county.reader, reading_id, "还没有签发")
    reporting.sign(hub, county.reviewer, reading_id)
    assert [row.id for row in late.after_signing(hub, county.reader)] == [reading_id], "it came between writing and signature"


def test_the_list_is_found_by_its_own_index(hub, county, clock, signed):
    asked = select(reading.c.id).where(SIGNED_WITHOUT_SOME).order_by(reading.c.changed_at.desc()).limit(20).compile(hub.engine, compile_kwargs={"literal_binds": True})
    with hub.reading() as connection:
        if hub.engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))      # the table is too small to be worth an index
        explain = "EXPLAIN QUERY PLAN" if hub.engine.dialect.name == "sqlite" else "EXPLAIN"
        assert "ix_reading_signed_late" in str(connection.execute(text(f"{explain} {asked}")).all())
