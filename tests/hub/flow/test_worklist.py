"""The queue: the most pressing first, one reader each, nothing held by somebody who left."""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import reporting, worklist
from hub.flow.worklist import Filters
from hub.storage.tables import audit
from tests.hub.arrivals import PATIENT, drafted, queued_ct, reading_row, rows


def listed(hub, actor, **filters) -> list[int]:
    return [row.id for row in worklist.listed(hub, actor, Filters(**filters))[0]]


def test_urgency_comes_first_then_the_deadline_then_age(hub, county, clock):
    old = queued_ct(hub, county, clock, "1.1")
    ecg_like = queued_ct(hub, county, clock, "1.2")
    urgent = queued_ct(hub, county, clock, "1.3", urgency="urgent")
    emergency = queued_ct(hub, county, clock, "1.4", urgency="emergency")
    assert listed(hub, county.reader) == [emergency, urgent, old, ecg_like]


def test_a_changed_urgency_moves_the_study_and_its_deadline(hub, county, clock):
    first, second = queued_ct(hub, county, clock, "1.1"), queued_ct(hub, county, clock, "1.2")
    worklist.set_urgency(hub, county.clinic, reading_row(hub, second).study_id, "emergency")
    assert listed(hub, county.reader) == [second, first]
    row = reading_row(hub, second)
    assert (row.deadline_at - row.queued_at).total_seconds() == 30 * 60


def test_a_neighbour_cannot_change_the_urgency_and_nonsense_is_refused(hub, county, clock):
    study_id = reading_row(hub, queued_ct(hub, county, clock)).study_id
    with pytest.raises(NotFound):
        worklist.set_urgency(hub, county.neighbour, study_id, "urgent")
    with pytest.raises(Invalid):
        worklist.set_urgency(hub, county.reader, study_id, "asap")


def test_of_twenty_readers_exactly_one_gets_the_study(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    people = [county.reader, county.reader2, county.reviewer, county.colleague]

    def claim(number):
        try:
            worklist.claim(hub, people[number % 4], reading_id)
        except Conflict as error:
            assert "已由" in error.zh
            return None
        return people[number % 4].account_id

    with ThreadPoolExecutor(20) as pool:
        winners = {winner for winner in pool.map(claim, range(20)) if winner}
    assert winners == {reading_row(hub, reading_id).claimed_by}
    assert [row.action for row in rows(hub, audit)].count("reading.claim") == 1


def test_claiming_ones_own_again_renews_the_lease(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    worklist.claim(hub, county.reader, reading_id)
    clock.forward(minutes=20)
    worklist.claim(hub, county.reader, reading_id)
    clock.forward(minutes=20)
    assert worklist.lapse_idle_claims(hub) == 0


def test_a_claim_lapses_after_half_an_hour_and_its_draft_stays(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    drafted(hub, county.reader, reading_id)
    clock.forward(minutes=30, seconds=1)
    assert worklist.lapse_idle_claims(hub) == 1
    row = reading_row(hub, reading_id)
    assert (row.state, row.claimed_by) == ("queued", None)
    worklist.claim(hub, county.reader2, reading_id)
    assert reporting.current_draft(hub, county.reader2, reading_id).content.findings == "双肺纹理清晰，未见实变。"
    with pytest.raises(Refused) as refusal:
        reporting.submit(hub, county.reader, reading_id)
    assert refusal.value.code == "not_yours"


def test_work_keeps_the_claim(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    worklist.claim(hub, county.reader, reading_id)
    for _ in range(4):
        clock.forward(minutes=29)
        worklist.renew(hub, county.reader, reading_id)
        assert worklist.lapse_idle_claims(hub) == 0


def test_a_released_study_is_free_again(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    worklist.claim(hub, county.reader, reading_id)
    with pytest.raises(Refused):
        worklist.release(hub, county.reader2, reading_id)
    worklist.release(hub, county.reader, reading_id)
    with pytest.raises(Conflict):
        worklist.release(hub, county.reader, reading_id)
    worklist.claim(hub, county.reader2, reading_id)


def test_a_study_is_handed_over_to_a_reader_and_to_nobody_else(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    worklist.claim(hub, county.reader, reading_id)
    for wrong in (county.clinic.account_id, county.administrator.account_id, 999):
        with pytest.raises(Invalid):
            worklist.hand_over(hub, county.reader, reading_id, wrong)
    worklist.hand_over(hub, county.reader, reading_id, county.reader2.account_id)
    assert reading_row(hub, reading_id).claimed_by == county.reader2.account_id
    with pytest.raises(Refused):
        worklist.release(hub, county.reader, reading_id)


def test_those_who_do_not_read_see_no_worklist_and_claim_nothing(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    for actor in (county.clinic, county.administrator, county.auditor):
        for verb in (lambda: worklist.listed(hub, actor, Filters()), lambda: worklist.claim(hub, actor, reading_id),
                     lambda: worklist.counts(hub, actor)):
            with pytest.raises(Refused):
                verb()


@pytest.mark.parametrize("text", ["wang", "WANG", "qs0009", "Xiao", "a2026"])
def test_a_search_finds_parts_of_name_number_and_accession_in_any_case(hub, county, clock, text):
    found = queued_ct(hub, county, clock, "1.1", patient=replace(PATIENT, patient_id="QS0009", name="Wang Xiaoming"))
    assert found in listed(hub, county.reader, text=text)


@pytest.mark.parametrize("text", ["%", "_", "\\", "%%", "' OR 1=1"])
def test_signs_of_the_query_language_are_plain_letters_in_a_search(hub, county, clock, text):
    queued_ct(hub, county, clock)
    assert listed(hub, county.reader, text=text) == []


def test_filters_choose(hub, county, clock):
    one = queued_ct(hub, county, clock, "1.1")
    two = queued_ct(hub, county, clock, "1.2", device=county.other_ct, urgency="urgent")
    worklist.claim(hub, county.reader, one)
    assert listed(hub, county.reader, state="mine") == [one] and listed(hub, county.reader2, state="mine") == []
    assert listed(hub, county.reader, site_id=county.baihe) == [two] == listed(hub, county.reader, urgency="urgent")
    assert listed(hub, county.reader, modality="MR") == [] and len(listed(hub, county.reader, modality="CT")) == 2
    assert listed(hub, county.reader, page=2) == []


def test_the_counts_are_those_of_the_lists(hub, county, clock):
    for number in range(3):
        queued_ct(hub, county, clock, f"1.{number}")
    drafted(hub, county.reader, 1)
    reporting.submit(hub, county.reader, 1)
    worklist.claim(hub, county.reader, 2)
    assert worklist.counts(hub, county.reader) == {"todo": 2, "mine": 1, "review": 1, "done": 0, "bounced": 0, "arriving": 0}
    for state in ("todo", "mine", "review"):
        assert len(listed(hub, county.reader, state=state)) == worklist.counts(hub, county.reader)[state]


def test_the_token_changes_with_every_change_of_the_list(hub, county, clock):
    tokens = [worklist.token(hub)]
    reading_id = queued_ct(hub, county, clock)
    tokens.append(worklist.token(hub))
    clock.forward(seconds=1)
    worklist.claim(hub, county.reader, reading_id)
    tokens.append(worklist.token(hub))
    assert len(set(tokens)) == 3 and worklist.token(hub) == tokens[-1]
