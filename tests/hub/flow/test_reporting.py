"""Writing, submitting, signing, amending: two people, no lost words, and old versions that stay readable."""
from dataclasses import replace

import pytest
from sqlalchemy import update

from hub.errors import Conflict, HubError, Invalid, NotFound, Refused
from hub.flow import reporting, worklist
from hub.storage.tables import artifact, audit, report
from tests.hub.arrivals import (
    WORDS, close_and_prepare, drafted, jobs, queued_ct, reading_row, rows, send, signed_report, slice_facts, study_row,
)

OTHER = replace(WORDS, findings="右肺上叶 6 mm 结节。", positive=True)


@pytest.fixture
def reading_id(hub, county, clock) -> int:
    return queued_ct(hub, county, clock)


@pytest.fixture
def submitted(hub, county, reading_id) -> int:
    drafted(hub, county.reader, reading_id)
    reporting.submit(hub, county.reader, reading_id)
    return reading_id


@pytest.fixture
def signed(hub, county, submitted) -> int:
    reporting.sign(hub, county.reviewer, submitted)
    return submitted


def code_of(verb, *arguments) -> str:
    with pytest.raises(HubError) as refusal:
        verb(*arguments)
    assert refusal.value.zh and refusal.value.en
    return refusal.value.code


def test_an_autosave_never_overwrites_a_newer_draft(hub, county, reading_id):
    worklist.claim(hub, county.reader, reading_id)
    assert reporting.save_draft(hub, county.reader, reading_id, 0, WORDS) == 1
    assert reporting.save_draft(hub, county.reader, reading_id, 1, OTHER) == 2
    for old in (0, 1, 3):
        assert code_of(reporting.save_draft, hub, county.reader, reading_id, old, WORDS) == "newer_draft"
    assert reporting.current_draft(hub, county.reader, reading_id).content == OTHER


def test_only_the_one_who_claimed_writes(hub, county, reading_id):
    assert code_of(reporting.save_draft, hub, county.reader, reading_id, 0, WORDS) == "not_claimed"
    worklist.claim(hub, county.reader, reading_id)
    assert code_of(reporting.save_draft, hub, county.reader2, reading_id, 0, WORDS) == "not_yours"


@pytest.mark.parametrize("words, code", [
    (replace(WORDS, impression=""), "report_incomplete"), (replace(WORDS, positive=None), "report_incomplete"),
    (replace(WORDS, findings="结节【】mm"), "template_gap"), (replace(WORDS, critical=True), "critical_without_finding"),
])
def test_an_unfinished_report_is_not_submitted_and_its_words_stay(hub, county, reading_id, words, code):
    drafted(hub, county.reader, reading_id, words)
    assert code_of(reporting.submit, hub, county.reader, reading_id) == code
    assert reading_row(hub, reading_id).state == "draft"
    assert reporting.current_draft(hub, county.reader, reading_id).content == words


def test_a_submitted_report_is_preliminary_and_nothing_goes_out(hub, county, submitted):
    row = rows(hub, report)[0]
    assert (reading_row(hub, submitted).state, row.version, row.signed_at, row.number) == ("preliminary", 1, None, None)
    assert (row.reader_name, row.proof) == ("王报告", "3/3 幅，无间断（完整）")
    assert not jobs(hub, "issue_letter")
    assert reporting.versions(hub, county.clinic, submitted) == [], "a clinic sees signed reports only"


def test_the_second_persons_signature_makes_it_final_and_orders_the_letter(hub, county, clock, submitted):
    report_id = reporting.sign(hub, county.reviewer, submitted)
    row = rows(hub, report)[0]
    assert (reading_row(hub, submitted).state, row.reviewer_name, row.signed_at) == ("final", "李审核", clock.now)
    assert row.number == f"20260504{submitted:06d}-1"
    assert [job.args for job in jobs(hub, "issue_letter")] == [{"report_id": report_id}]


def test_nobody_signs_their_own_report(hub, county, reading_id):
    drafted(hub, county.reviewer, reading_id)
    reporting.submit(hub, county.reviewer, reading_id)
    assert code_of(reporting.sign, hub, county.reviewer, reading_id) == "same_person"
    assert reading_row(hub, reading_id).state == "preliminary"
    reporting.sign(hub, county.colleague, reading_id)


def test_only_a_reviewer_signs(hub, county, submitted):
    for actor in county.everybody:
        if actor.role != "reviewer":
            assert code_of(reporting.sign, hub, actor, submitted) == "not_allowed"


def test_a_report_is_signed_once(hub, county, signed):
    assert code_of(reporting.sign, hub, county.colleague, signed) == "no_report"
    assert len(jobs(hub, "issue_letter")) == 1


def test_words_changed_behind_the_readers_back_are_not_signed(hub, county, submitted):
    with hub.writing() as connection:
        connection.execute(update(report).values(content=OTHER.as_json()))
    assert code_of(reporting.sign, hub, county.reviewer, submitted) == "content_changed"
    assert reading_row(hub, submitted).state == "preliminary"


def test_what_was_sent_back_returns_to_its_reader_and_is_signed_in_its_second_form(hub, county, submitted):
    assert code_of(reporting.send_back, hub, county.reviewer, submitted, "  ") == "empty_reason"
    reporting.send_back(hub, county.reviewer, submitted, "请补充左肺下叶")
    row = reading_row(hub, submitted)
    assert (row.state, row.claimed_by) == ("draft", county.reader.account_id)
    assert code_of(reporting.sign, hub, county.reviewer, submitted) == "no_report"
    reporting.save_draft(hub, county.reader, submitted, 1, OTHER)
    reporting.submit(hub, county.reader, submitted)
    reporting.sign(hub, county.reviewer, submitted)
    (standing,) = reporting.versions(hub, county.clinic, submitted)
    assert standing.content["findings"] == OTHER.findings and standing.number.endswith("-1")
    assert len(rows(hub, report)) == 2, "the withdrawn form is kept"


@pytest.mark.parametrize("verb", [
    lambda hub, county, reading_id: reporting.send_back(hub, county.reviewer, reading_id, "原因"),
    lambda hub, county, reading_id: reporting.sign(hub, county.reviewer, reading_id),
])
def test_where_nothing_waits_for_review_nothing_is_reviewed(hub, county, reading_id, verb):
    with pytest.raises(Conflict):
        verb(hub, county, reading_id)


def test_only_an_emergency_goes_out_under_one_signature(hub, county, reading_id):
    drafted(hub, county.reader, reading_id)
    assert code_of(reporting.sign_alone, hub, county.reader, reading_id) == "not_an_emergency"


def test_an_emergency_goes_out_at_once_and_the_second_signature_is_due(hub, county, clock):
    reading_id = queued_ct(hub, county, clock, urgency="emergency")
    drafted(hub, county.reader, reading_id)
    report_id = reporting.sign_alone(hub, county.reader, reading_id)
    row = rows(hub, report)[0]
    assert (reading_row(hub, reading_id).state, row.reviewer_id, row.reviewer_name) == ("final", None, "")
    assert (row.second_due_at - row.signed_at).total_seconds() == 24 * 3600
    assert reading_id in [r.id for r in worklist.listed(hub, county.reviewer, worklist.Filters(state="review"))[0]]
    assert code_of(reporting.countersign, hub, county.reader, report_id) == "not_allowed"
    reporting.countersign(hub, county.reviewer, report_id)
    assert rows(hub, report)[0].reviewer_name == "李审核"
    assert code_of(reporting.countersign, hub, county.colleague, report_id) == "not_waiting"
    assert [job.key for job in jobs(hub, "issue_letter")] == [f"{report_id}:one", f"{report_id}:both"]


def test_nobody_countersigns_their_own_emergency(hub, county, clock):
    reading_id = queued_ct(hub, county, clock, urgency="emergency")
    drafted(hub, county.reviewer, reading_id)
    assert code_of(reporting.countersign, hub, county.reviewer, reporting.sign_alone(hub, county.reviewer, reading_id)) == "same_person"


def test_an_amendment_makes_a_second_version_and_the_first_stays_readable(hub, county, signed):
    assert code_of(reporting.amend, hub, county.reader, signed, "") == "empty_reason"
    reporting.amend(hub, county.reader, signed, "补充结节描述")
    draft = reporting.current_draft(hub, county.reader, signed)
    assert draft.content == WORDS
    assert [row.version for row in reporting.versions(hub, county.clinic, signed)] == [1], "the old one is valid meanwhile"
    reporting.save_draft(hub, county.reader, signed, draft.revision, OTHER)
    reporting.submit(hub, county.reader, signed)
    reporting.sign(hub, county.reviewer, signed)
    new, old = reporting.versions(hub, county.clinic, signed)
    assert (new.version, old.version, reading_row(hub, signed).state) == (2, 1, "amended")
    assert (new.content["findings"], old.content["findings"]) == (OTHER.findings, WORDS.findings)
    assert new.amends_reason == "补充结节描述" and new.number.endswith("-2") and old.number.endswith("-1")


def test_an_amendment_can_be_amended(hub, county, signed):
    for version in (2, 3):
        reporting.amend(hub, county.reader, signed, f"第 {version} 版")
        reporting.submit(hub, county.reader, signed)
        reporting.sign(hub, county.reviewer, signed)
    assert [row.version for row in reporting.versions(hub, county.reader, signed)] == [3, 2, 1]


def test_please_repeat_needs_a_reason_and_returns_the_case(hub, county, reading_id):
    worklist.claim(hub, county.reader, reading_id)
    assert code_of(reporting.bounce, hub, county.reader, reading_id, " ") == "empty_reason"
    reporting.bounce(hub, county.reader, reading_id, "呼吸伪影，请重扫")
    row = reading_row(hub, reading_id)
    assert (row.state, row.bounce_reason, row.claimed_by) == ("bounced", "呼吸伪影，请重扫", None)


def test_new_images_put_a_returned_case_back_into_the_queue(hub, county, clock, reading_id):
    worklist.claim(hub, county.reader, reading_id)
    reporting.bounce(hub, county.reader, reading_id, "呼吸伪影，请重扫")
    send(hub, county.ct, slice_facts(4))
    close_and_prepare(hub, clock, reading_row(hub, reading_id).study_id)
    row = reading_row(hub, reading_id)
    assert (row.state, row.queued_at) == ("queued", clock.now)


def test_a_returned_case_can_be_taken_back_as_it_is(hub, county, reading_id):
    worklist.claim(hub, county.reader, reading_id)
    reporting.bounce(hub, county.reader, reading_id, "呼吸伪影，请重扫")
    reporting.requeue(hub, county.reader, reading_id)
    assert reading_row(hub, reading_id).state == "queued"


def test_images_after_the_report_was_written_stay_marked_through_its_signature(hub, county, submitted):
    send(hub, county.ct, slice_facts(4))
    reporting.sign(hub, county.reviewer, submitted)
    row = reading_row(hub, submitted)
    assert row.late_images and study_row(hub, row.study_id).state == "reopened"


def test_a_report_written_after_late_images_is_not_marked(hub, county, clock, reading_id):
    send(hub, county.ct, slice_facts(4))
    close_and_prepare(hub, clock, reading_row(hub, reading_id).study_id)
    drafted(hub, county.reader, reading_id)
    reporting.submit(hub, county.reader, reading_id)
    assert not reading_row(hub, reading_id).late_images and rows(hub, report)[0].proof.endswith("1 幅为补传（完整）")


def test_a_key_image_of_another_study_is_refused(hub, county, clock, reading_id):
    other = queued_ct(hub, county, clock, "1.9")
    kept = hub.blobs.keep(b"png")
    with hub.writing() as connection:
        key = connection.execute(artifact.insert().values(
            study_id=reading_row(hub, other).study_id, kind="key_image", place=0, sha256=kept.sha256, size=kept.size,
            media_type="image/png", about={}, made_at=hub.now())).inserted_primary_key[0]
    worklist.claim(hub, county.reader, reading_id)
    with pytest.raises(Invalid):
        reporting.save_draft(hub, county.reader, reading_id, 0, replace(WORDS, key_images=(key,)))


def test_a_neighbour_sees_no_version(hub, county, signed):
    with pytest.raises(NotFound):
        reporting.versions(hub, county.neighbour, signed)
    with pytest.raises(Refused):
        reporting.versions(hub, county.administrator, signed)


def test_every_step_to_the_signature_is_in_the_audit(hub, county, clock):
    signed_report(hub, county, clock)
    actions = [row.action for row in rows(hub, audit)]
    assert actions[-5:] == ["study.arrived", "study.ready", "reading.claim", "report.submit", "report.sign"]
