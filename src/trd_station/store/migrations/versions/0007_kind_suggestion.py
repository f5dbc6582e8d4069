"""Which kind of defect a detector with a lesson suggests."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inspection", sa.Column("kind_suggestion", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("inspection", "kind_suggestion")
