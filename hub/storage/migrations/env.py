"""Run by Alembic: one transaction for all steps, on the engine that the hub opened."""
from alembic import context

from hub.storage.tables import metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    if connection.dialect.name == "sqlite":
        connection = connection.execution_options(hub_writes=True)
    context.configure(connection=connection, target_metadata=metadata,
                      render_as_batch=connection.dialect.name == "sqlite", compare_type=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4204801)")
        context.run_migrations()
    connection.commit()
