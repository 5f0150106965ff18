"""A generated region through the hub's own rules: which rows they join, which they ask about, and what they get wrong.

``python -m benchmarks.identity [rows] [seed] [rows by way of the database]`` writes its table into docs/benchmarks.md. All rows
go through hub/model in memory, with the same keys for what is worth comparing as hub/flow/known.py; the first of them go
through the database as well, for the time it takes and to see that both roads end in the same links. The region has families who share a
phone, an address and a surname, twins, namesakes, typing mistakes, cards lent to relatives, cards picked for a namesake, old
numbers, devices that write pinyin, guess birth dates or know the age only. Nothing of it was used to choose the points.
"""
from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path

from sqlalchemy import insert, select

from benchmarks.page import put
from hub import rulebook
from hub.context import open_hub
from hub.flow import administration, identity, known
from hub.model.access import SYSTEM
from hub.model.identifiers import ADDRESS, CERTAIN, HOSPITAL, INSURANCE, MISTYPED, OLD, PHONE, RESIDENT_ID, Said, identifiers
from hub.model.identity import usable_name
from hub.model.matching import ASK, SAME, Known, match, may_join
from hub.model.names import forms
from hub.model.resident_id import check_character, contradictions, parse
from hub.settings import Settings
from hub.storage import migration
from hub.storage.tables import patient, person_link

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SITES, BATCH, NOW_YEAR = 40, 200, 2026
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华玉秀珍建国志红梅玲海燕春生文清云龙凤德福贵荣成林小晓"
RULES = rulebook.load().identity
NAMES = RULES.names


@dataclass
class Human:
    """Who somebody really is."""

    name: str
    born: date
    sex: str
    card: str
    phone: str
    address: str
    insurance: str
    family: int
    twin: bool = False


def people(count: int, chance: random.Random) -> list[Human]:
    """Families of one to five; of the children every twentieth has a twin."""
    made: list[Human] = []
    while len(made) < count:
        family, surname = len(made), chance.choices(SURNAMES, [1 / (2 + at) for at in range(len(SURNAMES))])[0]
        phone, address = f"1{chance.choice('3578')}{chance.randrange(10**9):09}", f"{chance.choice('青白红黄')}{chance.choice('山河岭坪')}镇{chance.randrange(1, 30)}组{chance.randrange(1, 200)}号"
        for at in range(chance.choices((1, 2, 3, 4, 5), (2, 3, 4, 2, 1))[0]):
            born = date(1930, 1, 1) + timedelta(days=chance.randrange(95 * 365))
            own = phone if at and chance.random() < 0.6 else f"1{chance.choice('3578')}{chance.randrange(10**9):09}"
            head = surname if at != 1 else chance.choice(SURNAMES)
            made.append(_human(head, born, chance, own, address, family))
            if chance.random() < 0.02:
                made[-1].twin = True
                made.append(_human(head, born, chance, own, address, family, alike=made[-1]))
    return made[:count]


def _human(surname: str, born: date, chance: random.Random, phone: str, address: str, family: int, alike: Human | None = None) -> Human:
    sex = alike.sex if alike and chance.random() < 0.6 else chance.choice("MF")
    given = "".join(chance.choice(GIVEN) for _ in range(chance.choice((1, 2, 2, 2))))
    if alike:       # twins often share a character of their names
        given = alike.name[1] + chance.choice(GIVEN)
    order = chance.randrange(1, 499) * 2 + (1 if sex == "M" else 0)
    first = f"5301{chance.randrange(1, 30):02}{born:%Y%m%d}{order:03}"
    return Human(surname + given, born, sex, first + check_character(first), phone, address, f"53A{chance.randrange(10**8):08}", family, alike is not None)


def row_of(human: Human, humans: list[Human], chance: random.Random, site_id: int, tally: Counter) -> tuple[dict, list[Said]]:
    """What one institution's device and clerk make of a person."""
    def happens(rate: float, what: str) -> bool:
        hit = chance.random() < rate
        tally[what] += hit
        return hit

    name, born, sex, card = human.name, human.born.isoformat(), human.sex, human.card
    if happens(0.20, "name in pinyin"):
        name = forms(name, NAMES).pinyin.upper()
    elif happens(0.03, "name mistyped"):
        at = chance.randrange(1, len(name))
        name = name[:at] + chance.choice(GIVEN) + name[at + 1:]
    if happens(0.10, "birth date missing"):
        born = ""
    elif happens(0.08, "birth date guessed"):
        born = f"{human.born.year + chance.choice((0, 0, 1))}-01-01"
    elif happens(0.01, "birth date mistyped"):
        born = human.born.replace(year=human.born.year + chance.choice((1, 10))).isoformat() if (human.born.month, human.born.day) != (2, 29) else born
    if happens(0.05, "sex missing"):
        sex = ""
    elif happens(0.005, "sex wrong"):
        sex = {"M": "F", "F": "M"}[sex]
    if happens(0.35, "no card"):
        card = ""
    elif happens(0.02, "card mistyped"):
        at = chance.randrange(17)
        card = card[:at] + chance.choice("0123456789") + card[at + 1:]
    elif human.born.year < 2000 and happens(0.02, "old number"):
        card = card[:6] + card[8:17]
    elif happens(0.008, "a relative's card"):
        card = chance.choice([one for one in humans[human.family:human.family + 8] if one.family == human.family]).card
    elif happens(0.002, "a namesake's card"):
        card = chance.choice([one for one in humans if one.name == human.name]).card
    if happens(0.01, "no name at all"):
        name, card = chance.choice(("无名氏", "", "TEST", "急诊1")), ""
    number = f"P{chance.randrange(10**7):07}"
    inside = happens(0.5, "card in the patient number")
    said = [Said(card, "OtherPatientIDs")] if card and not inside else []
    if happens(0.40, "phone told"):
        said.append(Said(human.phone, "PatientTelephoneNumbers", "", PHONE))
    if happens(0.20, "address told"):
        said.append(Said(human.address, "PatientAddress", "", ADDRESS))
    if happens(0.15, "insurance told"):
        said.append(Said(human.insurance, "OtherPatientIDs", "医保", INSURANCE))
    age = f"{NOW_YEAR - human.born.year:03}Y" if chance.random() < 0.85 else ""
    return dict(site_id=site_id, identity_key=f"{number}|{chance.random()}", patient_id=card if inside and card else number, name=name, name_as_sent=name,
                name_unsure=False, sex=sex, birth_date=born, age=age), said


def main(count: int, seed: int, by_database: int) -> None:
    chance, tally = random.Random(seed), Counter()
    humans = people(int(count * 0.55), chance)
    whose, told = {}, {}
    for at in range(count):
        who = at if at < len(humans) else chance.randrange(len(humans))
        values, said = row_of(humans[who], humans, chance, chance.randrange(1, SITES + 1), tally)
        whose[at + 1], told[at + 1] = who, (said, values)
    order = list(whose)
    chance.shuffle(order)
    began = time.process_time()
    found = in_memory([known_of(row_id, *told[row_id]) for row_id in order])
    spent = time.process_time() - began
    first = sorted(order[:by_database])
    links, cpu = in_database(first, told)
    same = links == in_memory([known_of(row_id, *told[row_id]) for row_id in first]).links()
    report(count, seed, humans, whose, told, found, tally, spent, by_database, cpu, same)


@dataclass
class Found:
    """Persons with two rows and more, pairs that are asked about, and pairs that are warned of."""

    groups: list[list[int]]
    suggested: set[tuple[int, int]]
    warned: set[tuple[int, int]]

    def links(self) -> set[tuple[int, int]]:
        return {pair for rows in self.groups for pair in combinations(sorted(rows), 2)}


def known_of(row_id: int, said: list[Said], values: dict) -> Known:
    """A row as hub/flow/known.py would load it."""
    numbers = identifiers([Said(values["patient_id"], "PatientID"), *said], RULES.kinds, RULES.placeholders)

    def of(kind: str, verdict: str = "") -> frozenset[str]:
        return frozenset(one.value for one in numbers if one.kind == kind and (not verdict or one.verdict == verdict))

    certain, apart = of(RESIDENT_ID, CERTAIN), set()
    if len(certain) == 1:
        card = parse(next(iter(certain)))
        apart = set(contradictions(card, values["birth_date"], values["sex"]))
        if not values["birth_date"] and values["age"] and abs(NOW_YEAR - int(values["age"][:3]) - int(card.birth_date[:4])) > known.YEARS_BY_AGE:
            apart.add("birth_date")
    return Known(row_id, values["site_id"], forms(values["name"], NAMES), values["birth_date"], values["sex"], certain, of(RESIDENT_ID, OLD),
                 of(RESIDENT_ID, MISTYPED), of(INSURANCE), of(HOSPITAL), of(PHONE), of(ADDRESS), frozenset(apart))


def in_memory(rows: list[Known]) -> Found:
    """The rows one after the other, each compared with those before it that share a key."""
    by_key: dict[tuple, list[int]] = defaultdict(list)
    of = {row.patient_id: row for row in rows}
    group = {row.patient_id: [row.patient_id] for row in rows}
    suggested, warned = set(), set()
    for row in rows:
        if not usable_name(row.name.folded, RULES.placeholders) and not row.resident_ids:
            continue
        keys = keys_of(row)
        near = {other for key in keys for other in by_key[key][-known.MOST_ALIKE:]}
        found = {other: match(row, of[other], RULES.matching) for other in sorted(near)}
        for other, one in found.items():
            ours, theirs = group[row.patient_id], group[other]
            if one.verdict == SAME and ours is not theirs:
                if may_join([of[each] for each in ours], [of[each] for each in theirs], RULES.matching):
                    suggested.add(tuple(sorted((row.patient_id, other))))
                    continue
                ours += theirs
                for each in theirs:
                    group[each] = ours
        for other, one in found.items():
            if group[other] is not group[row.patient_id]:
                pair = tuple(sorted((row.patient_id, other)))
                suggested |= {pair} if one.verdict == ASK else set()
                warned |= {pair} if one.warnings else set()
        for key in keys:
            by_key[key].append(row.patient_id)
    groups = list({id(rows): rows for rows in group.values() if len(rows) > 1}.values())
    linked = {pair for rows in groups for pair in combinations(sorted(rows), 2)}
    return Found(groups, suggested - linked, warned - linked)


def keys_of(row: Known) -> set[tuple]:
    """What hub/flow/known.py asks the database for."""
    keys = {(kind, value) for kind, values in ((RESIDENT_ID, row.resident_ids | row.old_ids | row.mistyped_ids), (INSURANCE, row.insurance),
                                               (PHONE, row.phones), (ADDRESS, row.addresses), (HOSPITAL, row.hospital)) for value in values}
    keys |= {("name", row.name.folded), ("name", row.name.folded, row.birth_date)}
    for spelling in row.name.spellings:
        keys |= {("spelling", spelling), ("spelling", spelling, row.birth_date)}
    if row.birth_date:
        keys.add(("born", row.birth_date, row.name.pinyin[:2]))
    return keys


def in_database(ids: list[int], told: dict) -> tuple[set[tuple[int, int]], float]:
    """The links that the hub itself makes of these rows, and the processor time of one row in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        hub = open_hub(Settings(data_dir=folder, free_space_floor_mb=0))
        migration.migrate(hub.engine)
        for at in range(SITES):
            administration.create_site(hub, SYSTEM, code=f"S{at}", name=f"卫生院{at}")
        with hub.writing() as connection:
            for row_id in ids:
                connection.execute(insert(patient).values(id=row_id, **told[row_id][1], created_at=hub.now().replace(year=NOW_YEAR)))
        began = time.process_time()
        for start in range(0, len(ids), BATCH):
            with hub.writing() as connection:
                for row_id in ids[start:start + BATCH]:
                    identity.learn(hub, connection, row_id, told[row_id][0])
        cpu = (time.process_time() - began) / max(1, len(ids))
        persons = defaultdict(list)
        with hub.reading() as connection:
            for row in connection.execute(select(person_link.c.person_id, person_link.c.patient_id).where(person_link.c.ended_at.is_(None))):
                persons[row.person_id].append(row.patient_id)
        hub.close()
    return {pair for rows in persons.values() for pair in combinations(sorted(rows), 2)}, cpu


def report(count, seed, humans, whose, told, found: Found, tally, spent, by_database, cpu, same) -> None:
    """The figures, counted in pairs of rows."""
    linked, suggested = found.links(), found.suggested
    false = [pair for pair in linked if whose[pair[0]] != whose[pair[1]]]
    rows_of = defaultdict(list)
    for row_id, who in whose.items():
        rows_of[who].append(row_id)
    true = {pair for rows in rows_of.values() for pair in combinations(sorted(rows), 2)}
    carded = {pair for pair in true if all(_has_card(told[each], humans[whose[each]]) for each in pair)}
    left = true - linked
    helped = suggested & left
    twins = combinations_of_twins(humans, rows_of)
    lines = [
        f"{count:,} rows of {len(humans):,} people at {SITES} institutions, seed {seed}; " + ", ".join(f"{what} {times}" for what, times in sorted(tally.items())) + ".", "",
        "| pairs of rows | count | |", "|---|---|---|",
        f"| of one person | {len(true):,} | |",
        f"| linked by rule | {len(linked):,} | precision {_share(len(linked) - len(false), len(linked))} |",
        f"| **linked, but two people** | **{len(false)}** | |",
        f"| of one person, both with the right certain number | {len(carded):,} | linked {_share(len(carded & linked), len(carded))}, asked {_share(len(carded & suggested), len(carded))} |",
        f"| of one person, linked in all | {len(true & linked):,} | recall {_share(len(true & linked), len(true))} |",
        f"| suggested to a person | {len(suggested):,} | right {_share(len([p for p in suggested if whose[p[0]] == whose[p[1]]]), len(suggested))} |",
        f"| of one person, linked or suggested | {len((true & linked) | helped):,} | recall {_share(len((true & linked) | helped), len(true))} |",
        f"| of twins | {len(twins):,} | linked {len(twins & linked)}, suggested {len(twins & suggested)}, warned of {_share(len([p for p in twins if p in found.warned]), len(twins))} |", "",
        f"In memory {spent / count * 1e3:.1f} ms of processor time for one row. The first {by_database:,} rows by way of the database (SQLite, writing included): "
        f"{cpu * 1e3:.1f} ms a row, {'the same links' if same else '**other links**'}."]
    put(PAGE, "Identity of patients", lines)
    print("\n".join(lines))
    for one, other in false[:10]:
        print(told[one], told[other], file=sys.stderr)


def combinations_of_twins(humans: list[Human], rows_of: dict) -> set[tuple[int, int]]:
    """Pairs of rows of two twins."""
    found = set()
    for at, human in enumerate(humans[:-1]):
        other = humans[at + 1]
        if human.twin and other.twin and human.family == other.family and human.born == other.born:
            found |= {tuple(sorted((a, b))) for a in rows_of[at] for b in rows_of[at + 1]}
    return found


def _has_card(told: tuple[list[Said], dict], human: Human) -> bool:
    said, values = told
    return values["patient_id"] == human.card or any(one.text == human.card for one in said)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "—"


if __name__ == "__main__":
    main(*(int(given) for given in (sys.argv[1:] + ["20000", "1", "1000"][len(sys.argv) - 1:])))
