"""A generated region through the hub's own matching: which rows it joins, which it asks about, and what it gets wrong.

``python -m benchmarks.identity [rows] [seed]`` writes its table into docs/benchmarks.md. The region has families who share a
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
from hub.flow import administration, identity
from hub.model.access import SYSTEM
from hub.model.identifiers import ADDRESS, INSURANCE, PHONE, Said
from hub.model.names import forms
from hub.model.resident_id import check_character
from hub.settings import Settings
from hub.storage import migration
from hub.storage.tables import patient, patient_pair, patient_warning, person_link

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SITES, BATCH, NOW_YEAR = 40, 200, 2026
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华玉秀珍建国志红梅玲海燕春生文清云龙凤德福贵荣成林小晓"
NAMES = rulebook.load().identity.names


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


def main(count: int, seed: int) -> None:
    chance, tally = random.Random(seed), Counter()
    humans = people(int(count * 0.55), chance)
    with tempfile.TemporaryDirectory() as folder:
        hub = open_hub(Settings(data_dir=folder, free_space_floor_mb=0))
        migration.migrate(hub.engine)
        sites = [administration.create_site(hub, SYSTEM, code=f"S{at}", name=f"卫生院{at}") for at in range(SITES)]
        whose, told = {}, {}
        for start in range(0, count, BATCH):
            with hub.writing() as connection:
                for at in range(start, min(start + BATCH, count)):
                    who = at if at < len(humans) else chance.randrange(len(humans))
                    values, said = row_of(humans[who], humans, chance, chance.choice(sites), tally)
                    row_id = connection.execute(insert(patient).values(**values, created_at=hub.now())).inserted_primary_key[0]
                    whose[row_id], told[row_id] = who, (said, values)
        cpu, order = time.process_time(), list(whose)
        chance.shuffle(order)
        for start in range(0, count, BATCH):
            with hub.writing() as connection:
                for row_id in order[start:start + BATCH]:
                    identity.learn(hub, connection, row_id, told[row_id][0])
        cpu = time.process_time() - cpu
        with hub.reading() as connection:
            groups = defaultdict(list)
            for row in connection.execute(select(person_link.c.person_id, person_link.c.patient_id).where(person_link.c.ended_at.is_(None))):
                groups[row.person_id].append(row.patient_id)
            pairs = connection.execute(select(patient_pair.c.one_id, patient_pair.c.other_id).where(patient_pair.c.state == "suggested")).all()
            warned = {(row.patient_id, row.other_id) for row in connection.execute(select(patient_warning.c.patient_id, patient_warning.c.other_id))}
        hub.close()
    report(count, seed, humans, whose, told, groups, {tuple(pair) for pair in pairs}, warned, tally, cpu)


def report(count, seed, humans, whose, told, groups, suggested, warned, tally, cpu) -> None:
    """The figures, counted in pairs of rows."""
    linked = {pair for rows in groups.values() for pair in combinations(sorted(rows), 2)}
    false = [pair for pair in linked if whose[pair[0]] != whose[pair[1]]]
    rows_of = defaultdict(list)
    for row_id, who in whose.items():
        rows_of[who].append(row_id)
    true = {pair for rows in rows_of.values() for pair in combinations(sorted(rows), 2)}
    carded = {pair for pair in true if all(_has_card(told[each], humans[whose[each]]) for each in pair)}
    left = true - linked
    found = suggested & left
    twins = {pair for pair in combinations_of_twins(humans, rows_of)}
    chances = [pair for pair in linked if pair in twins]
    lines = [
        f"{count:,} rows of {len(humans):,} people at {SITES} institutions, seed {seed}; " + ", ".join(f"{what} {times}" for what, times in sorted(tally.items())) + ".", "",
        "| pairs of rows | count | |", "|---|---|---|",
        f"| of one person | {len(true):,} | |",
        f"| linked by rule | {len(linked):,} | precision {_share(len(linked) - len(false), len(linked))} |",
        f"| **linked, but two people** | **{len(false)}** | |",
        f"| of one person, both with the right certain number | {len(carded):,} | linked {_share(len(carded & linked), len(carded))}, asked {_share(len(carded & suggested), len(carded))} |",
        f"| of one person, linked in all | {len(true & linked):,} | recall {_share(len(true & linked), len(true))} |",
        f"| suggested to a person | {len(suggested):,} | right {_share(len([p for p in suggested if whose[p[0]] == whose[p[1]]]), len(suggested))} |",
        f"| of one person, linked or suggested | {len((true & linked) | found):,} | recall {_share(len((true & linked) | found), len(true))} |",
        f"| of twins | {len(twins):,} | linked {len(chances)}, suggested {len(twins & suggested)}, warned of {_share(len([p for p in twins if p in warned]), len(twins))} |", "",
        f"{cpu / count * 1e3:.1f} ms of processor time for one row, matching and writing included."]
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
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
