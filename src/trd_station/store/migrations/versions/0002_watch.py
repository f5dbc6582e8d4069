"""What the watch for drift remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "watch_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("last_id", BIG, nullable=False),
        sa.Column("alarm_since", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_watch_state_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watch_state")),
        sa.UniqueConstraint("class_id", "name", name=op.f("uq_watch_state_class_id_name")),
    )


def downgrade() -> None:
    op.drop_table("watch_state")
