"""The only place that changes a state: one row, one step, one winner."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from hub.errors import Conflict, NotFound
from hub.model.lifecycle import LIFECYCLES, READING, STUDY, Lifecycle
from hub.storage.states import _TABLES, advance
from hub.storage.tables import study
from tests.hub import arrivals


def test_every_lifecycle_has_its_table_with_a_state():
    assert set(_TABLES) == {one.name for one in LIFECYCLES}
    assert all("state" in table.c for table in _TABLES.values())


def test_a_step_changes_the_state_and_the_values_given_with_it(hub, county):
    study_id = arrivals.send_ct(hub, county.ct)
    with hub.writing() as connection:
        assert advance(connection, STUDY, study_id, "close", generation=7) == "complete"
    row = arrivals.study_row(hub, study_id)
    assert (row.state, row.generation) == ("complete", 7)


def test_a_step_that_is_not_possible_changes_nothing(hub, county):
    study_id = arrivals.send_ct(hub, county.ct)
    with pytest.raises(Conflict), hub.writing() as connection:
        advance(connection, STUDY, study_id, "prepared", generation=7)
    row = arrivals.study_row(hub, study_id)
    assert (row.state, row.generation) == ("receiving", 0)


def test_a_row_that_is_not_there_is_not_found(hub):
    with pytest.raises(NotFound), hub.writing() as connection:
        advance(connection, STUDY, 99999, "close")


def test_of_two_at_once_exactly_one_steps(hub, county, clock):
    reading_id = arrivals.queued_ct(hub, county, clock)

    def claim(_):
        try:
            with hub.writing() as connection:
                advance(connection, READING, reading_id, "claim")
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(24))) == 1


def test_a_step_that_somebody_else_took_between_look_and_change_is_a_conflict(hub, county):
    """Even where no lock keeps two writers apart: the update asks for the state that was seen."""
    study_id = arrivals.send_ct(hub, county.ct)
    with pytest.raises(Conflict) as refusal, hub.writing() as connection:
        class Overtaken(Lifecycle):
            def after(self, event, state):
                connection.execute(study.update().where(study.c.id == study_id).values(state="reopened"))
                return super().after(event, state)

        advance(connection, Overtaken(STUDY.name, STUDY.initial, STUDY.steps), study_id, "close")
    assert refusal.value.code == "somebody_was_first"
