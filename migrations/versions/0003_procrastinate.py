"""procrastinate: the queue of the distributed task engine, on PostgreSQL only

The schema is procrastinate's own, as of version 3.10. When a newer procrastinate brings changes, they get a revision of
their own: `changes(after="03.10.00", upto=...)`.

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '0003'
down_revision: str | Sequence[str] | None = '0002'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

DROP = r"""
    DO $larder$
    DECLARE
        dropped text;
    BEGIN
        FOR dropped IN
            SELECT format('ROUTINE %s', oid::regprocedure) FROM pg_proc
            WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'procrastinate\_%'
        LOOP
            EXECUTE 'DROP ' || dropped || ' CASCADE';
        END LOOP;
        DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers;
        DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_status, procrastinate_job_event_type;
    END
    $larder$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == 'postgresql':
        from services.jobs.schema import changes

        for change in changes(upto='03.10.00'):
            op.execute(_as_it_is(change))


def downgrade() -> None:
    if op.get_context().dialect.name == 'postgresql':
        op.execute(_as_it_is(DROP))


def _as_it_is(sql: str) -> sa.TextClause:
    return sa.text(sql.replace(':', r'\:'))
