"""A device's habit of writing: many names, nearly all alike, and soon forgotten when they are no more."""
import pytest

from hub.model.habits import MOST_REMEMBERED, habit, with_more


@pytest.mark.parametrize("written, expected", [
    ({}, ""), ({"gb18030": 19}, ""), ({"gb18030": 20}, "gb18030"), ({"gb18030": 19, "utf_8": 1}, "gb18030"),
    ({"gb18030": 18, "utf_8": 2}, ""), ({"gb18030": 100, "utf_8": 100}, ""), ({"iso8859_1": 30}, "iso8859_1"),
])
def test_a_habit_needs_twenty_names_and_95_in_100_of_them(written, expected):
    assert habit(written) == expected


def test_counts_add_up_and_never_grow_beyond_what_is_remembered():
    assert with_more({"gb18030": 3}, {"gb18030": 2, "utf_8": 1}) == {"gb18030": 5, "utf_8": 1}
    many = with_more({"gb18030": 190}, {"gb18030": 5_000, "iso2022": 300})
    assert sum(many.values()) <= MOST_REMEMBERED and habit(many) == ""
    assert habit(with_more({"gb18030": 190, "utf_8": 3}, {"gb18030": 5_000})) == "gb18030"


@pytest.mark.parametrize("before", [20, 50, 150, 190, 199, 200])
def test_a_device_that_is_set_otherwise_loses_its_habit_within_twelve_names_and_gets_another(before):
    written, names = {"gb18030": before}, 0
    while habit(written) == "gb18030":
        written, names = with_more(written, {"utf_8": 1}), names + 1
    assert names <= 12 and habit(written) == ""
    while habit(written) != "utf_8":
        written, names = with_more(written, {"utf_8": 1}), names + 1
    assert names < 3 * MOST_REMEMBERED
