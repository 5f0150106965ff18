"""The rows of patients. Whoever enters one makes it findable in the same transaction; a row is never changed afterwards."""
from __future__ import annotations

from sqlalchemy import Connection, ScalarSelect, select

from hub.storage import driver, names
from hub.storage.fitting import fitted
from hub.storage.tables import patient


def enter(connection: Connection, **values) -> int:
    """Enters a patient of a site with the forms of the name, and returns its id. ``values``: the columns of the row."""
    row = fitted(patient, values | names.heading(values["name"], values["name_as_sent"]))
    patient_id = driver.put(connection, patient, row)
    names.enter(connection, patient_id, row["site_id"], row["name"], row["name_as_sent"])
    return patient_id


def heading_of(patient_id: int, *columns: str) -> dict[str, ScalarSelect]:
    """What rows of a study repeat of its patient, for every statement that names one: of ``head`` and ``sound``."""
    return {name: select(patient.c[name]).where(patient.c.id == patient_id).scalar_subquery() for name in columns}
