"""Names of parts are compared by their characters' codes, as SQLite does: where a prefix ends depends on it."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _compared_by('"C"')


def downgrade() -> None:
    _compared_by('"default"')


def _compared_by(collation: str) -> None:
    """PostgreSQL only; it makes the index of the column anew and leaves the rows as they are."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE inspection ALTER COLUMN part TYPE VARCHAR(200) COLLATE {collation}")
