"""What the gateway replaces in pynetdicom answers as pynetdicom does, and holds where pynetdicom's own does not."""
import os
import resource

import pytest
from pynetdicom import pdu_items, utils
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.presentation import PresentationContext

from dicom_gateway import mended
from tests.dicom_gateway.running import slice_of_ct
from tests.dicom_gateway.wire import CT, EXPLICIT, _item, associate_rq

SELECT_KNOWS = 1024      # FD_SETSIZE of glibc


@pytest.fixture
def many_files():
    """More open files in this process than select can tell of."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(SELECT_KNOWS + 50)]
    assert max(files) > SELECT_KNOWS
    yield
    for one in files:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_device_is_served_by_a_process_with_thousands_of_open_files(gateway, many_files):
    assert gateway.send(slice_of_ct()) == [0x0000]


@pytest.mark.parametrize("uid", [CT, CT.encode(), "", None, "1.2.3." + "4" * 58, "1.02.3", "1.2.840.10008.1.1\0", "9" * 65, "nonsense", 5])
def test_a_uid_is_judged_as_pynetdicom_judges_it_the_first_time_and_the_second(uid):
    def outcome(judge):
        try:
            return judge(uid, "a UID"), None
        except (TypeError, ValueError) as error:
            return None, str(error)
    mended.mend()
    expected = outcome(utils.set_uid)
    assert outcome(pdu_items.set_uid) == expected
    assert outcome(pdu_items.set_uid) == expected


@pytest.mark.parametrize("syntax", [EXPLICIT, EXPLICIT.encode(), CT, "1.2.276.0.9.9", "", None, 5, "9" * 65, "1.02.3"])
def test_a_transfer_syntax_is_taken_as_pynetdicom_takes_it_the_first_time_and_the_second(syntax):
    def outcome(add):
        context = PresentationContext()
        try:
            add(context, syntax)
            add(context, syntax)
            return context.transfer_syntax
        except ValueError as error:
            return str(error)
    mended.mend()
    expected = outcome(mended._add_checking)
    assert outcome(PresentationContext.add_transfer_syntax) == expected
    assert outcome(PresentationContext.add_transfer_syntax) == expected


def test_a_proposal_is_read_the_same_the_second_time():
    mended.mend()
    raw = associate_rq("CT", "HUB", [(n, CT, EXPLICIT) for n in range(1, 256, 2)], 16384)
    first, second = ([(c.context_id, c.abstract_syntax, c.transfer_syntax) for c in _read(raw).presentation_context_definition_list] for _ in range(2))
    assert first == second == [(n, CT, [EXPLICIT]) for n in range(1, 256, 2)]


def _read(raw: bytes):
    request = A_ASSOCIATE_RQ()
    request.decode(raw)
    return request.to_primitive()


@pytest.mark.parametrize(("result", "syntaxes"), [(0, [EXPLICIT]), (3, [EXPLICIT]), (4, ["1.2.840.10008.1.2.4.50"]), (1, []), (0, ["1.2.3"])])
def test_an_answered_context_is_packed_as_pynetdicom_packs_it(result, syntaxes):
    item = pdu_items.PresentationContextItemAC()
    item.presentation_context_id, item.result_reason = 255, result
    for one in syntaxes:
        syntax = pdu_items.TransferSyntaxSubItem()
        syntax.transfer_syntax_name = one
        item.transfer_syntax_sub_item.append(syntax)
    mended.mend()
    assert item.encode() == pdu_items.PDUItem.encode(item)


def test_a_proposed_context_too_long_to_be_remembered_and_one_that_is_broken_are_read_as_pynetdicom_reads_them():
    mended.mend()
    many = [f"1.2.840.10008.1.2.4.{number}" for number in range(50, 95)]
    said = _item(0x30, CT.encode()) + b"".join(_item(0x40, uid.encode()) for uid in many)
    assert len(said) > mended.SHORT_CONTEXT
    parts = pdu_items.PresentationContextItemRQ()._wrap_generate_items(said)
    assert [parts[0].abstract_syntax_name, *(part.transfer_syntax_name for part in parts[1:])] == [CT, *many]
    for said in (b"\x30\0\0\x05abc", b"\x99\0\0\x01a"):
        for _ in range(2):
            with pytest.raises((AssertionError, KeyError)):
                pdu_items.PresentationContextItemRQ()._wrap_generate_items(said)
