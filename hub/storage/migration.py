"""The schema's history: Alembic from the first table on, run by ``hub migrate`` and at every start."""
from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

FOLDER = Path(__file__).parent / "migrations"


def configuration(engine: Engine | None = None) -> Config:
    """Alembic's configuration without a file: the scripts lie beside this module."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["engine"] = engine
    return config


def migrate(engine: Engine) -> None:
    """Brings the schema to the newest version; does nothing when it is there."""
    command.upgrade(configuration(engine), "head")


def current(engine: Engine) -> tuple[str | None, str | None]:
    """The version of the database and the newest version known to this program."""
    with engine.connect() as connection:
        at = MigrationContext.configure(connection).get_current_revision()
    return at, ScriptDirectory.from_config(configuration()).get_current_head()
