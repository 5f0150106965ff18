"""Every sentence of the pages and scripts has its English."""
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import reading_ui
from reading_ui.language import script_messages

ROOM = Path(reading_ui.__file__).parent
METHODS = [("static/built/**", "ignore"), ("static/ecg/**", "ignore"), ("viewer/**", "ignore"), ("**.py", "python"), ("templates/**.html", "jinja2"),
           ("static/**.js", "javascript")]


def _messages():
    keywords = {"_": None, "gettext": None, "lazy_gettext": None}
    return {message for _f, _l, message, _c, _x in extract_from_dir(str(ROOM), method_map=METHODS, keywords=keywords)}


def test_every_message_has_an_english_translation():
    with (ROOM / "translations" / "en" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        known = {message.id: message.string for message in read_po(file) if message.id and not message.fuzzy}
    found = _messages()
    assert len(found) > 250
    assert sorted(found - {m for m, s in known.items() if s}) == []


def test_a_translation_keeps_the_places_of_its_values():
    import re
    with (ROOM / "translations" / "en" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        for message in read_po(file):
            if message.id:
                places = r"%\(\w+\)s|\{\w+\}"
                assert set(re.findall(places, message.id)) == set(re.findall(places, message.string)), message.id


def test_the_scripts_own_messages_are_found():
    assert "正在保存…" in script_messages() and "自动刷新" in script_messages()
