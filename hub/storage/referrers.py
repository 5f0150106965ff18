"""Studies by their referring physician, each of whom has his own in one range of an index, by their date.

The promise: the newest that some physicians sent are found by as many steps as are shown, for each of them, however many he ever
sent, and however many come from others: the physicians who fit a question are looked up first, and given one by one.
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import ColumnElement, Select, bindparam, select, union_all

from hub.storage.tables import IS_REFERRED, study

GIVEN = (1, 4, 15, 60, 300)      # so many are given at once: of few such numbers, that statements are few
NEAR = 5_000                     # studies that are met one after the other, by their date, before so many physicians' are merged
AT_ONCE = 60                     # whose studies are merged without that
_NOBODY = (-1, "")               # at no site
Physician = tuple[int, str]      # site, name as the site's studies repeat it


def given(physicians: Sequence[Physician]) -> tuple[int, dict]:
    """How many ``each`` has to be told for these, and the values of its parameters. At most the last of ``GIVEN``."""
    most = next(number for number in GIVEN if number >= len(physicians))
    values = {}
    for place, (site_id, name) in enumerate([*physicians, *[_NOBODY] * (most - len(physicians))]):
        values |= {f"at{place}": site_id, f"by{place}": name}
    return most, values


@cache
def each(most: int) -> list[ColumnElement]:
    """That a study is the first physician's of ``given``, the second's, and so on."""
    return [(study.c.site_id == bindparam(f"at{place}")) & (study.c.referring_physician == bindparam(f"by{place}")) & IS_REFERRED for place in range(most)]


def merged(each_newest: list[Select]) -> Select:
    """The newest of all that these find, newest first by their own date: studies' ids, each list of which is read as far as all are shown. Its own
    parameters: ``most``, ``start`` and their sum ``reach``."""
    if len(each_newest) == 1:
        return each_newest[0].limit(bindparam("most")).offset(bindparam("start"))
    lists = [one.add_columns(study.c.study_at).limit(bindparam("reach")).subquery() for one in each_newest]
    found = union_all(*(select(one.c.id, one.c.study_at) for one in lists)).subquery()
    return select(found.c.id).order_by(found.c.study_at.desc(), found.c.id.desc()).limit(bindparam("most")).offset(bindparam("start"))
