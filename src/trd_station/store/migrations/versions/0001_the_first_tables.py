"""The first tables: classes, models, thresholds, inspections, verdicts, events, counters, keys of requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "part_class",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_part_class")),
        sa.UniqueConstraint("name", name=op.f("uq_part_class_name")),
    )
    op.create_table(
        "counter",
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("decision", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_counter_class_id")),
        sa.PrimaryKeyConstraint("class_id", "hour", "decision", name=op.f("pk_counter")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("acknowledged_by", sa.String(length=100), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_event_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_at"), "event", ["at"])

    op.create_table(
        "model",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("detector", sa.String(length=32), nullable=False),
        sa.Column("calibration", sa.String(length=32), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("self_test", sa.JSON(), nullable=True),
        sa.Column("served_at", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_model_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
    )
    op.create_index(op.f("ix_model_class_id"), "model", ["class_id"])

    op.create_table(
        "request_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("inspections", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_request_key_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_key")),
        sa.UniqueConstraint("class_id", "key", name=op.f("uq_request_key_class_id_key")),
    )
    op.create_table(
        "threshold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("review_above", sa.Float(), nullable=False),
        sa.Column("reject_above", sa.Float(), nullable=False),
        sa.Column("good_scores", sa.JSON(), nullable=False),
        sa.Column("promise", sa.String(length=12), nullable=False),
        sa.Column("made_from", sa.String(length=12), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_threshold_class_id")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_threshold_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_threshold")),
    )
    op.create_index(op.f("ix_threshold_class_id"), "threshold", ["class_id"])
    op.create_index(op.f("ix_threshold_model_id"), "threshold", ["model_id"])

    op.create_table(
        "inspection",
        sa.Column("id", BIG, nullable=False),
        sa.Column("uid", sa.String(length=16), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.SmallInteger(), nullable=False),
        sa.Column("decision", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("p_value", sa.Float(), nullable=True),
        sa.Column("peak_row", sa.Integer(), nullable=True),
        sa.Column("peak_column", sa.Integer(), nullable=True),
        sa.Column("pixel_threshold", sa.Float(), nullable=True),
        sa.Column("share", sa.JSON(), nullable=True),
        sa.Column("notes", sa.JSON(), nullable=True),
        sa.Column("measures", sa.JSON(), nullable=True),
        sa.Column("timings", sa.JSON(), nullable=True),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("threshold_id", sa.Integer(), nullable=False),
        sa.Column("sampled", sa.Boolean(), nullable=False),
        sa.Column("queue", sa.String(length=8), nullable=True),
        sa.Column("verdict", sa.String(length=8), nullable=True),
        sa.Column("verdict_kind", sa.String(length=60), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["part_class.id"], name=op.f("fk_inspection_class_id")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_inspection_model_id")),
        sa.ForeignKeyConstraint(["threshold_id"], ["threshold.id"], name=op.f("fk_inspection_threshold_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
    )
    op.create_index("ix_inspection_at", "inspection", ["at", "id"])
    op.create_index("ix_inspection_class", "inspection", ["class_id", "at", "id"])
    op.create_index("ix_inspection_decision", "inspection", ["class_id", "decision", "at", "id"])
    op.create_index(
        "ix_inspection_kept",
        "inspection",
        ["at", "id"],
        sqlite_where=sa.text("pruned = 0"),
        postgresql_where=sa.text("pruned = false"),
    )
    op.create_index("ix_inspection_model", "inspection", ["model_id", "at", "id", "score", "decision", "verdict"])
    op.create_index(
        "ix_inspection_odd_origin",
        "inspection",
        ["origin", "at", "id"],
        sqlite_where=sa.text("origin != 0"),
        postgresql_where=sa.text("origin != 0"),
    )
    op.create_index(
        "ix_inspection_open",
        "inspection",
        ["class_id", "at", "id"],
        sqlite_where=sa.text("queue IS NOT NULL AND verdict IS NULL"),
        postgresql_where=sa.text("queue IS NOT NULL AND verdict IS NULL"),
    )
    op.create_index("ix_inspection_part", "inspection", ["part", "at", "id"])
    op.create_index(
        "ix_inspection_queue",
        "inspection",
        ["queue", "class_id", "at", "id"],
        sqlite_where=sa.text("queue IS NOT NULL"),
        postgresql_where=sa.text("queue IS NOT NULL"),
    )
    op.create_index(
        "ix_inspection_sampled",
        "inspection",
        ["class_id", "at", "id"],
        sqlite_where=sa.text("sampled = 1"),
        postgresql_where=sa.text("sampled = true"),
    )
    op.create_index("ix_inspection_score", "inspection", ["class_id", "score"])
    op.create_index("ix_inspection_threshold", "inspection", ["threshold_id", "at", "id"])
    op.create_index(
        "ix_inspection_verdict",
        "inspection",
        ["class_id", "verdict", "decision", "at", "id", "model_id", "score"],
        sqlite_where=sa.text("verdict IS NOT NULL"),
        postgresql_where=sa.text("verdict IS NOT NULL"),
    )

    op.create_table(
        "verdict",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("inspection_id", BIG, nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("mask", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_verdict_inspection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
    )
    op.create_index(op.f("ix_verdict_at"), "verdict", ["at"])
    op.create_index(op.f("ix_verdict_inspection_id"), "verdict", ["inspection_id"])


def downgrade() -> None:
    for name in ("verdict", "inspection", "threshold", "request_key", "model", "event", "counter", "part_class"):
        op.drop_table(name)
