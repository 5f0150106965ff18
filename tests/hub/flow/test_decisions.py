"""The conflict desk's decisions: rows, bytes that stay, the normal road for what is used, and the way back."""
from dataclasses import replace

import pytest

from hub.errors import Conflict, HubError, Invalid, Refused
from hub.flow import administration, completion, decisions, intake, preparation, studies
from hub.model.access import SYSTEM
from hub.storage.tables import audit, decision, held, instance, repair
from tests.hub.arrivals import PATIENT, ecg_facts, queued_ct, reading_of, rows, send, send_ct, signed_report, slice_facts, study_row

WORDS = "已与机构核实"
STRANGER = replace(PATIENT, patient_id="QS0777", name="另一人", name_as_sent="另一人")


@pytest.fixture
def conflict(hub, county):
    """Two versions of slice 2 of a study; the held case's id."""
    send_ct(hub, county.ct)
    return send(hub, county.ct, slice_facts(2, expected=3), b"second version").held_id


def slice_two(hub):
    return next(row for row in rows(hub, instance) if row.sop_uid == "1.2.3.1.2")


def test_keeping_the_first_changes_nothing_but_the_case(hub, county, conflict):
    before = rows(hub, instance)
    decisions.keep_first(hub, county.administrator, conflict, WORDS)
    assert rows(hub, instance) == before and rows(hub, held)[0].state == "resolved"
    assert [(row.choice, row.who, row.words) for row in rows(hub, decision)] == [("keep_first", "管理员", WORDS)]
    decisions.undo(hub, county.administrator, conflict)
    assert (rows(hub, held)[0].state, rows(hub, held)[0].resolution) == ("open", "")
    assert [row.choice for row in decisions.history(hub, county.administrator, conflict)] == ["undo", "keep_first"]
    assert rows(hub, audit)[-1].action == "held.undo"


def test_the_second_version_takes_the_place_and_both_stay_stored(hub, county, conflict):
    first = slice_two(hub)
    decisions.use_second(hub, county.administrator, conflict, WORDS)
    now = slice_two(hub)
    assert now.sha256 == rows(hub, held)[0].sha256 != first.sha256 and now.id == first.id
    assert hub.blobs.read(first.sha256) == b"bytes of 1.2.3.1.2" and hub.blobs.read(now.sha256) == b"second version"
    decisions.undo(hub, county.administrator, conflict)
    assert slice_two(hub).sha256 == first.sha256 and rows(hub, held)[0].state == "open"
    decisions.use_second(hub, county.administrator, conflict, WORDS)
    assert slice_two(hub).sha256 == now.sha256


def test_either_version_sent_again_makes_no_new_case(hub, county, conflict):
    decisions.use_second(hub, county.administrator, conflict, WORDS)
    assert send(hub, county.ct, slice_facts(2, expected=3), b"second version").outcome == "duplicate"
    assert send(hub, county.ct, slice_facts(2, expected=3)).outcome == "duplicate"
    assert len(rows(hub, held)) == 1
    assert send(hub, county.ct, slice_facts(2, expected=3), b"third version").outcome == "conflict"


def test_a_version_that_is_used_goes_down_the_road_again_and_its_reader_is_told(hub, county, clock):
    signed_report(hub, county, clock)
    study_id = studies.find(hub, SYSTEM, study_uid="1.2.3").id
    file = hub.blobs.keep(b"prepared")
    preparation.add_artifacts(hub, study_id, [preparation.NewArtifact(kind, file, "x", slice_two(hub).id) for kind in ("prepared", "htj2k", "key_image")]
                              + [preparation.NewArtifact("metadata", file, "x", about={"instances": [slice_two(hub).id, 99]})])
    held_id = send(hub, county.ct, slice_facts(2, expected=3), b"second version").held_id
    generation = study_row(hub, study_id).generation
    decisions.use_second(hub, county.administrator, held_id, WORDS)
    assert study_row(hub, study_id).state == "reopened" and study_row(hub, study_id).generation == generation + 1
    assert reading_of(hub, study_id).late_images and slice_two(hub).late
    assert sorted(row.kind for row in studies.artifacts_of(hub, study_id)) == ["key_image", "metadata"]
    assert studies.artifacts_of(hub, study_id, "metadata")[0].about["instances"] == [decisions.SETTLED, 99]
    clock.forward(seconds=200)
    assert completion.close_quiet_studies(hub) == 1
    assert preparation.begin(hub, study_id, study_row(hub, study_id).generation) is not None


def test_a_second_version_of_another_patient_never_takes_the_place(hub, county):
    send_ct(hub, county.ct)
    held_id = send(hub, county.ct, slice_facts(2, expected=3, patient=STRANGER), b"of a stranger").held_id
    with pytest.raises(Refused):
        decisions.use_second(hub, county.administrator, held_id, WORDS)
    assert rows(hub, held)[0].state == "open" and not rows(hub, decision) and slice_two(hub).sha256 != rows(hub, held)[0].sha256


def test_another_patient_is_given_a_study_of_its_own_and_the_rest_follows(hub, county, clock):
    queued_ct(hub, county, clock)
    strangers = [send(hub, county.ct, slice_facts(number, patient=STRANGER), b"stranger %d" % number).held_id for number in (11, 12)]
    assert decisions.alike(hub, county.administrator, strangers[0]) == strangers
    taken = [decisions.separate(hub, county.administrator, held_id, WORDS) for held_id in strangers]
    assert len({one.study_id for one in taken}) == 1 and {one.outcome for one in taken} == {"stored"}
    own = studies.find(hub, SYSTEM, taken[0].study_id)
    assert own.patient_name == "另一人" and own.study_uid.startswith("2.25.") and own.instances == 2
    assert study_row(hub, studies.find(hub, SYSTEM, study_uid="1.2.3").id).instances == 3
    third = send(hub, county.ct, slice_facts(13, patient=STRANGER), b"stranger 13")
    assert (third.outcome, third.study_id) == ("stored", own.id)
    assert {(row.keyword, row.old, row.new) for row in rows(hub, repair)} == {("StudyInstanceUID", "1.2.3", own.study_uid)} and len(rows(hub, repair)) == 3
    with pytest.raises(Conflict) as refusal:
        decisions.undo(hub, county.administrator, strangers[0])
    assert refusal.value.code == "cannot_be_undone" and not decisions.may_undo(decisions.history(hub, county.administrator, strangers[0]))


def test_an_object_without_uids_enters_under_supplied_ones(hub, county):
    file = hub.blobs.keep(b"no uids")
    held_id = intake.quarantine(hub, county.ct, "dicom", (file,), "missing_uid").held_id
    uids = {"StudyInstanceUID": ("0020000D", "", "2.25.1"), "SeriesInstanceUID": ("0020000E", "", "2.25.2"), "SOPInstanceUID": ("00080018", "", "2.25.3")}
    facts = replace(slice_facts(1, "2.25.1"), series_uid="2.25.2", sop_uid="2.25.3")
    with pytest.raises(Invalid):
        decisions.supply(hub, county.administrator, held_id, replace(facts, sop_class=""), uids, WORDS)
    taken = decisions.supply(hub, county.administrator, held_id, facts, uids, WORDS)
    assert studies.find(hub, SYSTEM, taken.study_id).study_uid == "2.25.1" and rows(hub, instance)[0].sha256 == file.sha256
    assert {row.keyword for row in rows(hub, repair)} == set(uids) and rows(hub, held)[0].state == "resolved"


def test_what_can_be_read_now_is_released_to_its_device(hub, county):
    file = hub.blobs.keep(b"unreadable yesterday")
    held_id = intake.quarantine(hub, None, "dicom", (file,), "unregistered_device").held_id
    with pytest.raises(Invalid) as refusal:
        decisions.release(hub, county.administrator, held_id, slice_facts(), WORDS)
    assert refusal.value.code == "no_device"
    taken = decisions.release(hub, county.administrator, held_id, slice_facts(), WORDS, county.ct.id)
    assert studies.find(hub, SYSTEM, taken.study_id).site_id == county.qingshan


def test_what_would_conflict_again_stays_held_and_is_not_held_twice(hub, county):
    send_ct(hub, county.ct)
    held_id = intake.quarantine(hub, county.ct, "dicom", (hub.blobs.keep(b"other bytes"),), "unparsable").held_id
    with pytest.raises(Conflict) as refusal:
        decisions.release(hub, county.administrator, held_id, slice_facts(2), WORDS)
    assert refusal.value.code == "still_conflicting" and [row.state for row in rows(hub, held)] == ["open"]


def test_a_discarded_object_leaves_a_tombstone_with_its_bytes_and_comes_back(hub, county, conflict):
    decisions.discard(hub, county.administrator, conflict, "重复测试影像")
    row = rows(hub, held)[0]
    assert (row.state, row.resolution) == ("discarded", "重复测试影像") and hub.blobs.read(row.sha256) == b"second version"
    decisions.undo(hub, county.administrator, conflict)
    assert rows(hub, held)[0].state == "open"


def test_only_who_may_decides_once_with_words_and_by_a_way_that_fits(hub, county, conflict):
    for actor in (county.reader, county.reviewer, county.clinic, county.auditor):
        with pytest.raises(Refused):
            decisions.keep_first(hub, actor, conflict, WORDS)
    with pytest.raises(Invalid):
        decisions.keep_first(hub, county.administrator, conflict, " ")
    for way in (decisions.separate, lambda *_: decisions.supply(hub, county.administrator, conflict, slice_facts(), {}, WORDS)):
        with pytest.raises(Conflict):
            way(hub, county.administrator, conflict, WORDS)
    decisions.keep_first(hub, county.administrator, conflict, WORDS)
    for way in (decisions.keep_first, decisions.use_second, decisions.discard):
        with pytest.raises(Conflict):
            way(hub, county.administrator, conflict, WORDS)


def test_a_case_of_an_earlier_version_says_what_to_do(hub, county, conflict):
    with hub.writing() as connection:
        connection.execute(held.update().values(facts={"study_uid": "1.2.3"}))
    with pytest.raises(HubError) as refusal:
        decisions.use_second(hub, county.administrator, conflict, WORDS)
    assert refusal.value.code == "held_before"


HEADERS = [b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0" + len(meta).to_bytes(4, "little") + meta
           for meta in (b"\x02\0\x10\0UI\x02\0" + b"1\0", b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01" + b"\x02\0\x10\0UI\x02\0" + b"1\0")]
BODY = b"\x08\0\x16\0UI\x02\x001\0" + b"pixels" * 40000


def test_an_object_that_came_by_two_doors_is_one_though_its_file_header_differs(hub, county):
    facts = replace(ecg_facts(), format="dicom", transfer_syntax="1.2")
    first = send(hub, county.ecg, facts, HEADERS[0] + BODY)
    second = send(hub, county.ct, facts, HEADERS[1] + BODY)
    assert (second.outcome, second.instance_id) == ("duplicate", first.instance_id) and not rows(hub, held)
    row = rows(hub, instance)[0]
    assert hub.blobs.read(row.sha256) == HEADERS[0] + BODY and [hub.blobs.read(one["sha256"]) for one in row.copies] == [HEADERS[1] + BODY]
    send(hub, county.ct, facts, HEADERS[1] + BODY)
    assert len(rows(hub, instance)[0].copies) == 1
    assert send(hub, county.ct, facts, HEADERS[1] + BODY[:-1] + b"S").outcome == "conflict"
    assert send(hub, county.ct, replace(facts, transfer_syntax="1.3"), HEADERS[1] + BODY + b"").outcome == "conflict"


def test_the_plain_word_is_a_decision_too(hub, county, conflict):
    administration.resolve_held(hub, county.administrator, conflict, WORDS)
    assert rows(hub, decision)[0].choice == "note" and decisions.may_undo(rows(hub, decision))
    decisions.undo(hub, county.administrator, conflict)
    assert rows(hub, held)[0].state == "open"
