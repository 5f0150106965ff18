"""What a report says, and when it may leave the reader's hands."""
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Invalid
from hub.model.report import LONGEST, ReportContent

READY = ReportContent("两肺清晰。", "未见异常。", positive=False)


def test_a_finished_report_may_go():
    READY.require_ready()


@pytest.mark.parametrize("change, code", [
    ({"findings": " \n"}, "report_incomplete"), ({"impression": ""}, "report_incomplete"), ({"positive": None}, "report_incomplete"),
    ({"findings": "右肺上叶【】mm 结节。"}, "template_gap"), ({"recommendation": "建议【】月后复查。"}, "template_gap"),
    ({"critical": True}, "critical_without_finding"),
])
def test_an_unfinished_report_stays(change, code):
    with pytest.raises(Invalid) as refusal:
        replace(READY, **change).require_ready()
    assert refusal.value.code == code


def test_what_is_lacking_is_named():
    with pytest.raises(Invalid) as refusal:
        ReportContent().require_ready()
    assert all(name in refusal.value.zh for name in ("检查所见", "诊断意见", "阴性/阳性"))


@pytest.mark.parametrize("value", [
    None, [], "text", {"findings": 7}, {"impression": "长" * (LONGEST + 1)}, {"positive": "yes"}, {"positive": 3}, {"key_images": "1,2"},
    {"key_images": [1.5]}, {"key_images": [True]}, {"key_images": list(range(13))},
])
def test_what_is_not_a_report_is_refused_and_nothing_is_cut(value):
    with pytest.raises(Invalid):
        ReportContent.from_json(value)


def test_control_characters_are_left_out_and_line_ends_are_one_kind():
    assert ReportContent.from_json({"findings": "一\r\n二\x00\x1b三\t四"}).findings == "一\n二三\t四"


@given(st.text(st.characters(min_codepoint=32, exclude_categories=("Cs",)), max_size=200), st.sampled_from([True, False, None]))
def test_a_report_survives_its_way_through_json(text, positive):
    content = ReportContent(findings=text, impression=text, positive=positive, key_images=(3, 1))
    again = ReportContent.from_json(content.as_json())
    assert again == content and again.sha256() == content.sha256()


def test_any_change_of_the_words_changes_the_hash():
    hashes = {READY.sha256(), *(replace(READY, **change).sha256() for change in (
        {"findings": "两肺清晰"}, {"impression": "未见明显异常。"}, {"recommendation": "随访。"}, {"positive": True}, {"critical": True},
        {"critical_finding": "气胸"}, {"key_images": (1,)}, {"template_id": "ct"}))}
    assert len(hashes) == 9
