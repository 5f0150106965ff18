"""Prints every setting as a page: ``python -m hub.print_settings > docs/settings.md``."""
from __future__ import annotations

from dataclasses import fields

from hub.settings import SETTINGS_FILE, Settings

HEAD = f"""# Settings

Printed from `hub/settings.py` by `python -m hub.print_settings`; a test compares them.
Each may stand in `{SETTINGS_FILE}` (in the working folder, or named by `--settings` or `HUB_SETTINGS`) or in the
variable `HUB_` + its name in upper case. The variable wins. A wrong or unknown one stops the start.

| setting | default | allowed | what it is for |
|---|---|---|---|
"""


def page() -> str:
    """The whole page in Markdown."""
    return HEAD + "".join(f"| `{one.name}` | {_shown(one.default)} | {_allowed(one)} | {one.metadata['about']} |\n"
                          for one in fields(Settings))


def _shown(default: object) -> str:
    return f"`{default}`" if default != "" else "empty"


def _allowed(one) -> str:
    if one.metadata["choices"]:
        return ", ".join(one.metadata["choices"])
    if one.metadata["least"] is not None:
        kind = "whole number" if isinstance(one.default, int) else "number"
        return f"{kind}, {one.metadata['least']} to {one.metadata['most']}"
    return "text"


if __name__ == "__main__":
    print(page(), end="")
