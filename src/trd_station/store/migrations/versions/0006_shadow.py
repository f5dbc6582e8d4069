"""Which model scores beside the one that serves a class, and what it gave."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "shadow",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("reject_above", sa.Float(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_shadow_class_id")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_shadow_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow")),
    )
    op.create_index(op.f("ix_shadow_class_id"), "shadow", ["class_id"])
    op.create_table(
        "shadow_score",
        sa.Column("shadow_id", sa.Integer(), nullable=False),
        sa.Column("inspection_id", BIG, nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["shadow_id"], ["shadow.id"], name=op.f("fk_shadow_score_shadow_id")),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_shadow_score_inspection_id")),
        sa.PrimaryKeyConstraint("shadow_id", "inspection_id", name=op.f("pk_shadow_score")),
    )


def downgrade() -> None:
    op.drop_table("shadow_score")
    op.drop_table("shadow")
