"""The tables of states: complete, reachable, spoken, printed, and obeyed by every other file."""
import ast
from pathlib import Path

import pytest

from hub.errors import Conflict
from hub.model import print_lifecycle
from hub.model.lifecycle import CRITICAL, DELIVERY, JOB, LIFECYCLES, READING, STATE_EN, STATE_ZH, STUDY

ROOT = Path(__file__).resolve().parents[3]
STEPS = [(one, event, before, after) for one in LIFECYCLES for (event, before), after in one.steps.items()]


@pytest.mark.parametrize("one, event, before, after", STEPS, ids=[f"{o.name}-{e}-{b}" for o, e, b, _ in STEPS])
def test_every_step_leads_where_its_table_says(one, event, before, after):
    assert one.after(event, before) == after
    assert before in one.sources(event)


@pytest.mark.parametrize("one", LIFECYCLES, ids=lambda one: one.name)
def test_a_step_that_is_not_in_the_table_is_refused_in_two_languages(one):
    for event in {event for event, _ in one.steps}:
        for state in one.states:
            if (event, state) not in one.steps:
                with pytest.raises(Conflict) as refusal:
                    one.after(event, state)
                assert refusal.value.code == "wrong_state"
                assert STATE_ZH[state] in refusal.value.zh and state in refusal.value.en


@pytest.mark.parametrize("one", LIFECYCLES, ids=lambda one: one.name)
def test_every_state_can_be_reached_and_has_words(one):
    reached, edge = {one.initial}, [one.initial]
    while edge:
        state = edge.pop()
        for (_, before), after in one.steps.items():
            if before == state and after not in reached:
                reached.add(after)
                edge.append(after)
    assert reached == set(one.states)
    assert reached <= STATE_ZH.keys() and reached <= STATE_EN.keys()


def test_the_states_are_those_of_the_house_plan():
    assert set(STUDY.states) == {"receiving", "complete", "preparing", "ready", "reopened"}
    assert set(READING.states) == {"queued", "claimed", "draft", "preliminary", "final", "amended", "bounced", "cancelled"}
    assert set(DELIVERY.states) == {"due", "sending", "delivered", "acknowledged", "refused", "overdue"}
    assert set(CRITICAL.states) == {"raised", "notified", "read_back", "closed", "escalated"}


def test_a_report_goes_out_only_by_a_signature():
    into_final = {event for (event, _), after in READING.steps.items() if after in ("final", "amended")}
    assert into_final == {"sign", "sign_alone", "sign_amendment"}


def test_an_escalated_critical_value_is_quiet_only_after_read_back():
    assert {after for (_, before), after in CRITICAL.steps.items() if before == "escalated"} == {"read_back"}


def test_a_lost_job_is_due_again_from_wherever_it_was_lost():
    assert set(JOB.sources("recover")) == {"handed", "running"}


def test_the_page_of_lifecycles_is_the_printed_one():
    assert (ROOT / "docs" / "lifecycle.md").read_text("utf-8") == print_lifecycle.page()


def test_every_event_that_the_code_advances_by_is_in_a_table():
    known = {event for one in LIFECYCLES for event, _ in one.steps}
    used = set()
    for file in (ROOT / "hub").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "advance":
                if isinstance(call.args[3], ast.Constant):
                    used.add(call.args[3].value)
    assert len(used) > 20 and used <= known
