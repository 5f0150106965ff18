"""The proof sheet: on a real CT every missing slice inside is noticed, and at the ends where evidence exists."""
from dataclasses import replace

import pytest
from pydicom import dcmread

from dicom_gateway.facts import facts_of
from hub.model.completeness import SeriesEvidence, prove


@pytest.fixture(scope="module")
def chest_ct(real_data) -> list:
    """The facts of the 64 slices of the real CT, in order of position."""
    files = sorted((real_data / "dicom" / "chest_ct").glob("*.dcm"))
    assert len(files) == 64
    return sorted((facts_of(dcmread(file, stop_before_pixels=True)) for file in files), key=lambda f: f.position_mm)


def evidence(facts: list, expected: int | None = None) -> SeriesEvidence:
    return SeriesEvidence("1.2", "", "CT", len(facts), tuple(f.instance_number for f in facts if f.instance_number is not None),
                          tuple((f.orientation, f.position_mm) for f in facts if f.position_mm is not None), expected)


def built(numbers, spacing=5.0, expected=None) -> SeriesEvidence:
    return SeriesEvidence("1.2", "", "CT", len(numbers), tuple(numbers), tuple(("axial", spacing * n) for n in numbers), expected)


def test_the_whole_real_ct_has_no_gap(chest_ct):
    proof = prove([evidence(chest_ct)])
    assert (proof.verdict, proof.received, proof.missing, proof.gaps) == ("likely", 64, 0, 0)
    assert proof.zh == "64/64 幅，无间断" and proof.en == "64 of 64, no gap"


def test_the_real_ct_is_complete_when_the_sender_said_how_many(chest_ct):
    assert prove([evidence(chest_ct, expected=64)]).verdict == "complete"


@pytest.mark.parametrize("blind_to", ["nothing", "numbers", "positions"])
def test_dropping_any_one_slice_inside_the_real_ct_is_noticed(chest_ct, blind_to):
    seen = [replace(f, instance_number=None if blind_to == "numbers" else f.instance_number,
                    position_mm=None if blind_to == "positions" else f.position_mm) for f in chest_ct]
    for dropped in range(1, 63):
        proof = prove([evidence(seen[:dropped] + seen[dropped + 1:])])
        assert proof.verdict == "incomplete", f"slice {dropped} is missing and nobody noticed"
        assert proof.missing or proof.gaps


def test_dropping_a_slice_at_either_end_is_noticed_when_the_sender_said_how_many(chest_ct):
    for rest in (chest_ct[1:], chest_ct[:-1]):
        proof = prove([evidence(rest, expected=64)])
        assert proof.verdict == "incomplete" and proof.missing == 1 and proof.received == 63


@pytest.mark.parametrize("witness", ["the sender's count", "the device's report", "a request for commitment"])
def test_any_slice_of_the_real_ct_is_missed_where_anybody_told_of_it(chest_ct, witness):
    for dropped in range(64):
        rest = evidence(chest_ct[:dropped] + chest_ct[dropped + 1:], 64 if witness == "the sender's count" else None)
        proof = prove([replace(rest, unseen=1 if witness == "the device's report" else None)], promised=1 if witness == "a request for commitment" else 0)
        assert (proof.verdict, proof.received, proof.expected, proof.missing) == ("incomplete", 63, 64, 1), dropped


def test_the_slice_with_number_one_is_missed_without_being_told(chest_ct):
    by_number = sorted(chest_ct, key=lambda f: f.instance_number)
    assert by_number[0].instance_number == 1
    assert prove([evidence(by_number[1:])]).verdict == "incomplete"


def test_the_last_slice_leaves_no_evidence_when_nobody_said_how_many(chest_ct):
    by_number = sorted(chest_ct, key=lambda f: f.instance_number)
    proof = prove([evidence(by_number[:-1])])
    assert proof.verdict == "likely", "nothing is claimed complete that nobody counted"


def test_missing_numbers_are_named():
    proof = prove([built([1, 2, 4, 5, 8])])
    assert proof.series[0].missing_numbers == (3, 6, 7)
    assert proof.zh == "5/8 幅，缺 3 幅，有 2 处间断"


def test_a_gap_is_named_by_its_two_edges():
    proof = prove([built([10, 11, 13, 14], spacing=2.5)])
    assert proof.series[0].gaps_mm == ((27.5, 32.5),)


def test_a_scout_beside_a_volume_makes_no_gap():
    volume = built(range(2, 40))
    with_scout = replace(volume, received=39, numbers=(1, *volume.numbers), positions=(("coronal", -300.0), *volume.positions))
    assert prove([with_scout]).gaps == 0


def test_a_head_scanned_finer_at_its_base_makes_no_gap_but_its_missing_slices_do():
    places = [2.5 * n for n in range(16)] + [37.5 + 5 * n for n in range(1, 10)]
    def proof(kept):
        return prove([SeriesEvidence("1", "", "CT", len(kept), (), tuple(("axial", mm) for mm in kept), None)])
    assert proof(places).gaps == 0
    for dropped in range(1, len(places) - 1):
        if places[dropped] not in (35.0, 37.5):      # without one of them the spacing merely changes a little earlier
            assert proof(places[:dropped] + places[dropped + 1:]).gaps == 1, places[dropped]


def test_two_phases_at_the_same_places_make_no_gap():
    positions = tuple(("axial", 3.0 * (n % 20)) for n in range(40))
    assert prove([SeriesEvidence("1", "", "MR", 40, tuple(range(1, 41)), positions, None)]).verdict == "likely"


def test_numbering_by_tens_is_no_evidence_of_loss():
    proof = prove([SeriesEvidence("1", "", "MR", 5, (10, 20, 30, 40, 50), (), None)])
    assert proof.verdict == "likely" and proof.zh == "5/5 幅，无间断"


@pytest.mark.parametrize("numbers, words", [
    (range(1, 65), "64/64 幅，无间断"), (range(0, 64), "64/64 幅，无间断"), (range(2, 65), "63/64 幅，缺 1 幅"), (range(101, 165), "64/64 幅，无间断"),
    ([0, *range(2, 64)], "63/64 幅，缺 1 幅"), ([7], "1/1 幅，无间断"), ([1, 2, 2, 3], "4 幅，无间断")])
def test_the_two_numbers_of_the_sentence_agree_with_what_it_says_is_missing(numbers, words):
    """It is stamped on the report: whatever the device begins to count with."""
    assert prove([SeriesEvidence("1", "", "CT", len(numbers), tuple(numbers), (), None)]).zh == words


def test_one_short_series_makes_the_study_incomplete():
    proof = prove([built([1, 2, 3], expected=3), built([1, 2], expected=4)])
    assert (proof.verdict, proof.received, proof.expected, proof.missing) == ("incomplete", 5, 7, 2)


def test_more_than_was_announced_is_not_called_missing():
    proof = prove([built([1, 2, 3, 4], expected=3)])
    assert proof.verdict == "complete" and proof.missing == 0 and proof.zh == "4 幅，无间断" and proof.en == "4 received, no gap"


def test_late_slices_are_said():
    assert prove([built([1, 2, 3])], late=2).zh.endswith("，2 幅为补传")


def test_a_single_image_without_numbers_claims_nothing():
    proof = prove([SeriesEvidence("1", "", "DX", 1, (), (), None)])
    assert (proof.verdict, proof.expected, proof.zh) == ("likely", None, "1 幅，无间断")


def test_what_the_device_vouched_for_and_is_not_here_is_missing_even_at_the_end(chest_ct):
    by_number = sorted(chest_ct, key=lambda f: f.instance_number)
    proof = prove([evidence(by_number[:-1])], promised=1)
    assert (proof.verdict, proof.received, proof.expected, proof.missing, proof.promised) == ("incomplete", 63, 64, 1, 1)
    assert proof.zh == "63/64 幅，缺 1 幅"


def test_an_image_that_several_witnesses_miss_is_missing_once():
    proof = prove([built([1, 2, 4, 5], expected=5)], promised=1)
    assert (proof.received, proof.expected, proof.missing) == (4, 5, 1)


def test_the_sheet_says_who_told_how_many_and_what_stands_twice():
    both, = prove([replace(built([1, 2, 3], expected=3), unseen=0)]).series
    none, = prove([built([1, 2, 2, 3])]).series
    assert (both.told_by, both.doubled) == (("sender", "device"), 0) and (none.told_by, none.doubled) == ((), 1)
