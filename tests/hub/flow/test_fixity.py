"""Stored files are hashed again: a damaged one is named, told to those it concerns, and mended by the same bytes."""
from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.errors import Refused
from hub.flow import administration, fixity
from hub.model.access import SYSTEM
from hub.storage.tables import instance
from tests.hub.arrivals import send, send_ct, slice_facts

PLENTY = 1 << 30
MONTH = timedelta(days=30)


def a_round(hub, pause=timedelta(0)):
    """One look after another until the round is over; all that was checked."""
    looks = [fixity.check_some(hub, PLENTY, pause)]
    while not looks[-1].round_over:
        looks.append(fixity.check_some(hub, PLENTY, pause))
    return looks


def stored(hub, number=1):
    with hub.reading() as connection:
        row = connection.execute(select(instance).where(instance.c.number == number)).one()
    return hub.blobs.path(row.sha256), row


def turn_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def test_a_whole_store_is_found_intact_and_counted(hub, county):
    send_ct(hub, county.ct, slices=5)
    looks = a_round(hub)
    assert sum(one.files for one in looks) == 5 and not any(one.damaged for one in looks)
    last = fixity.last_round(hub, county.administrator)
    assert last.files == 5 and last.bytes == sum(one.bytes for one in looks) > 0 and last.ended_at == hub.now()


@pytest.mark.parametrize("what", ["changed", "missing"])
def test_a_damaged_file_is_named_once_to_the_administrator_the_reader_and_the_audit(hub, county, what):
    study_id = send_ct(hub, county.ct, slices=3)
    path, row = stored(hub, 2)
    turn_a_bit(path) if what == "changed" else path.unlink()
    a_round(hub)
    a_round(hub)
    [found] = fixity.damaged(hub, county.administrator)
    assert (found.what, found.sha256, found.study_id, found.site_name, found.site_phone) == (what, row.sha256, study_id, "青山镇卫生院", "0999-1234501")
    [seen] = fixity.damaged_of(hub, study_id)
    assert seen.number == 2
    assert len([one for one in administration.audit_entries(hub, SYSTEM, action="fixity")]) == 1


def test_the_same_bytes_sent_again_mend_it(hub, county):
    send_ct(hub, county.ct, slices=3)
    path, row = stored(hub, 2)
    turn_a_bit(path)
    a_round(hub)
    assert send(hub, county.ct, slice_facts(2, expected=3)).outcome == "duplicate"
    assert fixity.check_some(hub, PLENTY, MONTH).mended == 1
    assert fixity.damaged(hub, county.administrator) == []
    turn_a_bit(path)
    hub.clock.forward(days=31)
    a_round(hub, MONTH)
    assert [one.sha256 for one in fixity.damaged(hub, county.administrator)] == [row.sha256], "damaged again, named again"


def test_a_little_is_read_at_a_time_and_the_round_goes_on_where_it_stood(hub, county):
    send_ct(hub, county.ct, slices=4)
    turn_a_bit(stored(hub, 4)[0])
    for number in range(3):
        assert (fixity.check_some(hub, 1).files, fixity.damaged(hub, county.administrator)) == (1, [])
    assert fixity.check_some(hub, 1).damaged == 1


def test_a_new_round_begins_when_its_day_has_come(hub, county):
    send_ct(hub, county.ct, slices=2)
    a_round(hub, MONTH)
    assert fixity.check_some(hub, PLENTY, MONTH).files == 0
    hub.clock.forward(days=30)
    assert sum(one.files for one in a_round(hub, MONTH)) == 2


def test_two_schedulers_at_once_name_a_damage_once(hub, county, monkeypatch):
    send_ct(hub, county.ct, slices=2)
    turn_a_bit(stored(hub, 1)[0])
    here = fixity.SOURCES["instance"]
    calls = []

    def meanwhile(row):
        if not calls:
            calls.append(row)
            fixity.check_some(hub, PLENTY)          # the other scheduler, between our look and our note
        return here[1](row)

    monkeypatch.setitem(fixity.SOURCES, "instance", (here[0], meanwhile, *here[2:]))
    fixity.check_some(hub, PLENTY)
    assert len(fixity.damaged(hub, county.administrator)) == 1 and fixity.last_round(hub, SYSTEM).files == 2


def test_everything_is_checked_on_demand(hub, county):
    send_ct(hub, county.ct, slices=3)
    turn_a_bit(stored(hub, 3)[0])
    fixity.check_some(hub, 1)
    told = []
    whole = fixity.check_everything(hub, lambda done, of: told.append((done, of)))
    assert (whole.files, whole.damaged) == (3, 1) and told[-1] == (3, 3)


def test_only_the_administrator_sees_the_list(hub, county):
    for person in (county.clinic, county.reader, county.auditor):
        with pytest.raises(Refused):
            fixity.damaged(hub, person)
