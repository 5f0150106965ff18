"""docs/field-notes.md: every note names a test, and that test exists."""
import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTES = (ROOT / "docs" / "field-notes.md").read_text("utf-8")


def test_every_note_names_a_test_that_exists():
    notes = NOTES.split("\n**")[1:]
    assert len(notes) > 10
    for note in notes:
        named = re.findall(r"^`(tests/[\w/]+\.py)::(test_\w+)`", note, re.MULTILINE)
        assert named, f"no test: {note[:40]}"
        for path, name in named:
            functions = {node.name for node in ast.parse((ROOT / path).read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{path}::{name}"


def test_every_note_is_dated():
    assert re.search(r"^## \d{4}-\d{2}$", NOTES.partition("\n**")[0], re.MULTILINE)
