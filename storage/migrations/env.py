"""How Alembic runs our migrations: on the connection that `storage.schema` gives it."""

from alembic import context

given = context.config.attributes
# SQLite's DDL is transactional, too, since our connections begin their transactions themselves.
context.configure(
    connection=given["connection"], version_table=given["version_table"], transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
