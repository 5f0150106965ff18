"""Studies close by evidence, and a late slice reopens them and says so."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from hub.flow import completion, intake
from hub.flow.administration import verify_audit
from hub.storage.tables import audit
from tests.hub.arrivals import close_and_prepare, ecg_facts, jobs, queued_ct, reading_of, rows, send, send_ct, slice_facts, study_row


def closes_after(hub, clock, study_id, seconds: float) -> None:
    """Nothing a moment before, closed a moment after."""
    clock.forward(seconds=seconds - 0.1)
    assert completion.close_quiet_studies(hub) == 0
    clock.forward(seconds=0.2)
    assert completion.close_quiet_studies(hub) == 1
    assert study_row(hub, study_id).state == "complete"


def test_a_complete_study_closes_a_second_after_its_sender_left(hub, county, clock):
    study_id = send_ct(hub, county.ct)
    closes_after(hub, clock, study_id, 1)
    assert study_row(hub, study_id).proof["zh"] == "3/3 幅，无间断"


def test_a_study_of_unknown_size_waits_while_its_sender_is_connected(hub, county, clock):
    study_id = send(hub, county.ct, slice_facts()).study_id
    intake.association_opened(hub, [study_id])
    closes_after(hub, clock, study_id, 30)


def test_the_release_shortens_the_wait(hub, county, clock):
    study_id = send(hub, county.ct, slice_facts()).study_id
    intake.association_opened(hub, [study_id])
    intake.association_ended(hub, [study_id])
    closes_after(hub, clock, study_id, 3)


def test_a_counted_study_does_not_wait_for_the_release(hub, county, clock):
    study_id = send_ct(hub, county.ct)
    intake.association_opened(hub, [study_id])
    closes_after(hub, clock, study_id, 3)


@pytest.mark.parametrize("numbers, seconds", [(range(1, 17), 1), (range(1, 16), 3), ([1] * 16, 3), ([*range(1, 16), 17], 60), ([None] * 16, 3)])
def test_many_slices_numbered_without_a_gap_are_evidence_that_all_are_here(hub, county, clock, numbers, seconds):
    for place, number in enumerate(numbers, 1):
        study_id = send(hub, county.ct, slice_facts(place, instance_number=number, position_mm=None)).study_id
    closes_after(hub, clock, study_id, seconds)


def test_a_study_with_a_gap_is_given_a_minute_and_closes_with_the_gap_shown(hub, county, clock):
    for number in (1, 2, 4, 5):
        study_id = send(hub, county.ct, slice_facts(number)).study_id
    closes_after(hub, clock, study_id, 60)
    proof = study_row(hub, study_id).proof
    assert proof["verdict"] == "incomplete" and proof["series"][0]["missing_numbers"] == [3]
    assert proof["series"][0]["gaps_mm"] == [[10.0, 20.0]]


def test_every_slice_starts_the_silence_again(hub, county, clock):
    for number in (1, 2, 3):
        study_id = send(hub, county.ct, slice_facts(number)).study_id
        clock.forward(seconds=2.9)
        assert completion.close_quiet_studies(hub) == 0
    clock.forward(seconds=0.2)
    assert completion.close_quiet_studies(hub) == 1
    assert study_row(hub, study_id).instances == 3


def test_an_ecg_closes_at_once(hub, county):
    study_id = send(hub, county.ecg, ecg_facts()).study_id
    assert completion.close_quiet_studies(hub) == 1
    assert [job.kind for job in jobs(hub)] == ["identify", "prepare_ecg"] and study_row(hub, study_id).state == "complete"


def test_closing_orders_the_preparation_once(hub, county, clock):
    study_id = send_ct(hub, county.ct)
    clock.forward(seconds=5)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: completion.close_quiet_studies(hub), range(4))) == 1
    (job,) = jobs(hub, "prepare_images")
    assert (job.kind, job.args) == ("prepare_images", {"study_id": study_id, "generation": 1})


def test_a_restarted_gateway_forgets_who_was_connected(hub, county, clock):
    study_id = send(hub, county.ct, slice_facts()).study_id
    intake.association_opened(hub, [study_id])
    completion.forget_open_associations(hub)
    closes_after(hub, clock, study_id, 3)


@pytest.mark.parametrize("stage", ["complete", "ready"])
def test_a_late_slice_reopens_the_study_and_says_so(hub, county, clock, stage):
    study_id = send_ct(hub, county.ct)
    if stage == "ready":
        close_and_prepare(hub, clock, study_id)
    else:
        clock.forward(seconds=5)
        completion.close_quiet_studies(hub)
    before = study_row(hub, study_id)
    assert send(hub, county.ct, slice_facts(4)).outcome == "stored"
    row = study_row(hub, study_id)
    assert (before.state, row.state, row.late, row.generation) == (stage, "reopened", 1, before.generation + 1)
    assert rows(hub, audit)[-1].action == "study.reopened" and f'"was": "{stage}"' in rows(hub, audit)[-1].detail
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    assert study_row(hub, study_id).proof["zh"].endswith("，1 幅为补传")


def test_a_late_slice_is_shown_on_the_reading_until_a_report_was_written_with_it(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    study_id = rows(hub, audit)[-1].object_id
    send(hub, county.ct, slice_facts(4))
    assert reading_of(hub, int(study_id)).late_images
    assert close_and_prepare(hub, clock, int(study_id)) == reading_id
    assert reading_of(hub, int(study_id)).late_images


def test_a_duplicate_reopens_nothing(hub, county, clock):
    study_id = send_ct(hub, county.ct)
    close_and_prepare(hub, clock, study_id)
    assert send(hub, county.ct, slice_facts(1, expected=3)).outcome == "duplicate"
    assert study_row(hub, study_id).state == "ready"


def test_slices_that_arrive_while_studies_close_are_never_lost_between(hub, county, clock):
    """One thread closes without pause while another sends: whatever was stored is in the last proof."""
    study_id = send(hub, county.ct, slice_facts(1)).study_id

    def sweep(_):
        for _ in range(30):
            completion.close_quiet_studies(hub)

    def arrive(number):
        clock.forward(seconds=61)
        return send(hub, county.ct, slice_facts(number)).outcome

    with ThreadPoolExecutor(3) as pool:
        closing = [pool.submit(sweep, n) for n in range(2)]
        assert {arrive(number) for number in range(2, 20)} == {"stored"}
        for one in closing:
            one.result()
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    row = study_row(hub, study_id)
    assert (row.state, row.instances, row.proof["received"]) == ("complete", 19, 19)
    assert verify_audit(hub).broken_at is None
