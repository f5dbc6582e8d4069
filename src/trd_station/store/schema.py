"""The tables. What a row says is in docs/station-api.md; changes here need a migration beside them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)

DECISIONS = ("ok", "review", "reject", "invalid")  # stored by their place here
ORIGINS = ("api", "folder", "replay", "camera")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Big = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself for INTEGER only

ByCodes = String(200).with_variant(String(200, collation="C"), "postgresql")  # as SQLite does: see `filters._begins`

part_class = Table(
    "part_class",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
)

model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("class_id", Integer, ForeignKey("part_class.id"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("path", Text, nullable=False),
    Column("detector", String(32), nullable=False),
    Column("calibration", String(32), nullable=False),
    Column("facts", JSON, nullable=False),  # what answers and later pictures need: frame, floors, recipe, engine
    Column("state", String(12), nullable=False),
    Column("error", Text),
    Column("self_test", JSON),
    Column("served_at", BigInteger),  # when it last began to serve: roll back goes to the one before
    Column("at", BigInteger, nullable=False),
    Column("who", String(100), nullable=False),
)

threshold = Table(
    "threshold",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("class_id", Integer, ForeignKey("part_class.id"), nullable=False, index=True),
    Column("model_id", Integer, ForeignKey("model.id"), nullable=False, index=True),
    Column("active", Boolean, nullable=False),
    Column("review_above", Float, nullable=False),
    Column("reject_above", Float, nullable=False),
    Column("good_scores", JSON, nullable=False),  # ascending
    Column("promise", String(12), nullable=False),
    Column("made_from", String(12), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("who", String(100), nullable=False),
    Column("reason", Text, nullable=False),
)

inspection = Table(
    "inspection",
    metadata,
    Column("id", Big, primary_key=True),
    Column("uid", String(16), nullable=False),  # names its files
    Column("class_id", Integer, ForeignKey("part_class.id"), nullable=False),
    Column("part", ByCodes, nullable=False),
    Column("at", BigInteger, nullable=False),  # milliseconds since 1970, never falls with the id
    Column("origin", SmallInteger, nullable=False),
    Column("decision", SmallInteger, nullable=False),
    Column("reason", Text),
    Column("score", Float),
    Column("p_value", Float),
    Column("peak_row", Integer),
    Column("peak_column", Integer),
    Column("region", String(64)),
    Column("pixel_threshold", Float),
    Column("share", JSON),
    Column("kind_suggestion", JSON(none_as_null=True)),
    Column("notes", JSON),
    Column("measures", JSON),
    Column("timings", JSON),
    Column("files", JSON, nullable=False),
    Column("height", Integer),
    Column("width", Integer),
    Column("model_id", Integer, ForeignKey("model.id"), nullable=False),
    Column("threshold_id", Integer, ForeignKey("threshold.id"), nullable=False),
    Column("sampled", Boolean, nullable=False),
    Column("queue", String(8)),
    Column("verdict", String(8)),
    Column("verdict_kind", String(60)),
    Column("bytes", BigInteger, nullable=False),  # of its files that are there
    Column("pruned", Boolean, nullable=False),
)
_i = inspection.c
Index("ix_inspection_at", _i.at, _i.id)
Index("ix_inspection_class", _i.class_id, _i.at, _i.id)
Index("ix_inspection_decision", _i.class_id, _i.decision, _i.at, _i.id)
Index("ix_inspection_model", _i.model_id, _i.at, _i.id, _i.score, _i.decision, _i.verdict)  # covers what-if
Index("ix_inspection_threshold", _i.threshold_id, _i.at, _i.id)
Index("ix_inspection_part", _i.part, _i.at, _i.id)
Index("ix_inspection_score", _i.class_id, _i.score)
_not_pruned, _open = _i.pruned == false(), _i.queue.is_not(None) & _i.verdict.is_(None)
Index("ix_inspection_kept", _i.at, _i.id, sqlite_where=_not_pruned, postgresql_where=_not_pruned)
Index("ix_inspection_open", _i.class_id, _i.at, _i.id, sqlite_where=_open, postgresql_where=_open)
for _name, _some, _columns in (
    ("queue", _i.queue.is_not(None), (_i.queue, _i.class_id, _i.at, _i.id)),
    ("verdict", _i.verdict.is_not(None), (_i.class_id, _i.verdict, _i.decision, _i.at, _i.id, _i.model_id, _i.score)),
    ("sampled", _i.sampled == true(), (_i.class_id, _i.at, _i.id)),
    ("odd_origin", _i.origin != 0, (_i.origin, _i.at, _i.id)),
):
    Index(f"ix_inspection_{_name}", *_columns, sqlite_where=_some, postgresql_where=_some)

verdict = Table(
    "verdict",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("inspection_id", Big, ForeignKey("inspection.id"), nullable=False, index=True),
    Column("verdict", String(8), nullable=False),
    Column("kind", String(60)),
    Column("reason", Text),
    Column("who", String(100), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("mask", String(120)),  # file
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("class_id", Integer, ForeignKey("part_class.id")),
    Column("level", String(8), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("acknowledged_by", String(100)),
    Column("acknowledged_at", BigInteger),
    Column("cause", Text),  # of an alarm, as who acknowledged it says
)

alarm_rule = Table(
    "alarm_rule",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("class_id", Integer, ForeignKey("part_class.id"), index=True),  # null: of the whole station
    Column("rules", JSON, nullable=False),
    Column("who", String(100), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

counter = Table(
    "counter",
    metadata,
    Column("class_id", Integer, ForeignKey("part_class.id"), nullable=False),
    Column("hour", Integer, nullable=False),  # since 1970
    Column("decision", SmallInteger, nullable=False),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("class_id", "hour", "decision"),
)

request_key = Table(
    "request_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("class_id", Integer, ForeignKey("part_class.id"), nullable=False),
    Column("key", String(128), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("inspections", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("class_id", "key"),
)

watch_state = Table(
    "watch_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("class_id", Integer, ForeignKey("part_class.id"), nullable=False),
    Column("name", String(80), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("last_id", Big, nullable=False),  # the last inspection that it has seen
    Column("alarm_since", BigInteger),
    Column("state", LargeBinary, nullable=False),
    UniqueConstraint("class_id", "name"),
)

shadow = Table(
    "shadow",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("class_id", Integer, ForeignKey("part_class.id"), nullable=False, index=True),
    Column("model_id", Integer, ForeignKey("model.id"), nullable=False),
    Column("reject_above", Float, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),  # null while it scores
    Column("who", String(100), nullable=False),
)

shadow_score = Table(
    "shadow_score",
    metadata,
    Column("shadow_id", Integer, ForeignKey("shadow.id"), nullable=False),
    Column("inspection_id", Big, ForeignKey("inspection.id"), nullable=False),
    Column("score", Float, nullable=False),
    PrimaryKeyConstraint("shadow_id", "inspection_id"),
)
