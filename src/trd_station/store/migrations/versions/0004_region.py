"""In which of the recipe's regions the peak lies."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inspection", sa.Column("region", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("inspection", "region")
