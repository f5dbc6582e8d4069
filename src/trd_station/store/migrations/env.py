"""Runs the steps on the connection that `trd_station.store.database.upgrade` gives."""

from alembic import context

from trd_station.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes columns by copying the table
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
