"""Why an alarm was raised, as who acknowledged it says; and when alarms are raised."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("cause", sa.Text(), nullable=True))
    op.create_table(
        "alarm_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_alarm_rule_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_rule")),
    )
    op.create_index(op.f("ix_alarm_rule_class_id"), "alarm_rule", ["class_id"])


def downgrade() -> None:
    op.drop_table("alarm_rule")
    op.drop_column("event", "cause")
