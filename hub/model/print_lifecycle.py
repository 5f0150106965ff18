"""Prints every lifecycle as a page: ``python -m hub.model.print_lifecycle > docs/lifecycle.md``."""
from __future__ import annotations

from hub.model.lifecycle import LIFECYCLES, STATE_EN, STATE_ZH, Lifecycle

HEAD = """# Lifecycles

Printed from `hub/model/lifecycle.py` by `python -m hub.model.print_lifecycle`; a test compares them.
A step that is not in a table is refused. Only `hub/storage/states.py` changes a state.
"""


def page() -> str:
    """The whole page in Markdown."""
    return HEAD + "".join(_section(one) for one in LIFECYCLES)


def _section(one: Lifecycle) -> str:
    lines = [f"\n## {one.name}\n", f"Begins as **{one.initial}** ({STATE_ZH[one.initial]}, {STATE_EN[one.initial]}).\n",
             "| event | from | to | | |", "|---|---|---|---|---|"]
    lines += [f"| {event} | {before} | {after} | {STATE_ZH[after]} | {STATE_EN[after]} |"
              for (event, before), after in one.steps.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
