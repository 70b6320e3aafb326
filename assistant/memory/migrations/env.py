"""Run by Alembic: migrates over the connection that `assistant.memory.migrate` hands in."""

from alembic import context

from assistant.memory.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
