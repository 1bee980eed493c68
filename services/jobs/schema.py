"""The schema of procrastinate, for the migrations. It lives in its package, one file a change, named by version."""

from pathlib import Path

from procrastinate.schema import SchemaManager


def changes(*, after: str = "", upto: str) -> list[str]:
    """SQL, one statement a change, for versions such as `03.10.00`: later ones than `after`, and `upto` included."""
    paths = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return [
        # One statement, for drivers prepare what they run; PostgreSQL takes it apart.
        f"DO $larder$ BEGIN EXECUTE $change$\n{path.read_text(encoding='utf-8')}\n$change$; END $larder$"
        for path in paths
        if after < path.name[: len(upto)] <= upto
    ]
