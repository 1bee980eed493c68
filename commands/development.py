"""shell, test, routes, makemessages, compilemessages."""

import asyncio
import code
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po, write_po
from uvicorn.importer import import_from_string

import models
from commands.asynchronous import fail
from db import get_database, session_scope
from routes.table import list_routes
from services.core import clock
from services.core.i18n import DOMAIN, LOCALE_DIR
from services.permissions import ROLE_PERMISSIONS
from settings import ROOT

MESSAGES = (
    (".", "auth.py", "python"),
    ("admin", "**.py", "python"),
    ("routes", "**.py", "python"),
    ("services", "**.py", "python"),
    ("templates", "**.html", "jinja2"),
)
DATE = re.compile(rb'"POT-Creation-Date: .*\n')
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None}


def shell(
    execute: Annotated[str, typer.Option("--command", "-c", help="Run this, and leave.")] = "",
) -> None:
    """Python with the models at hand. `run(coroutine)` awaits; `session_scope()` opens a session."""
    database = get_database()
    runner = asyncio.Runner()
    names: dict[str, Any] = {
        **{name: value for name, value in vars(models).items() if not name.startswith("_")},
        "clock": clock,
        "run": runner.run,
        "session_scope": session_scope,
    }
    try:
        if execute:
            exec(compile(execute, "<command>", "exec"), names)  # noqa: S102  (that is what it is for)
        else:
            code.interact("Larder's models are here; run(...) awaits.", local=names, exitmsg="")
    finally:
        runner.run(database.dispose())
        runner.close()


def test(context: typer.Context) -> None:
    """Run the tests; everything behind goes to pytest."""
    raise typer.Exit(subprocess.run([sys.executable, "-m", "pytest", *context.args], cwd=ROOT, check=False).returncode)


def routes() -> None:
    """List every route with its methods, its name, and the least role that may use it."""
    create_app = import_from_string("main:create_app")
    least = {permission: role for role in reversed(list(ROLE_PERMISSIONS)) for permission in ROLE_PERMISSIONS[role]}
    for entry in list_routes(create_app()):
        role = least.get(entry.name)
        typer.echo(f"{','.join(sorted(entry.methods)):<10} {entry.path:<64} {entry.name:<28} {role or '-'}")


def makemessages() -> None:
    """Collect what is to be translated into locale/larder.pot, and bring the catalogues up to date."""
    template = Catalog(project="Larder", charset="utf-8")
    for folder, pattern, method in MESSAGES:
        for filename, _line, message, comments, context in extract_from_dir(
            ROOT / folder, [(pattern, method)], keywords=KEYWORDS, directory_filter=_is_ours
        ):
            template.add(message, None, [(str(Path(folder) / filename), 0)], auto_comments=comments, context=context)
    LOCALE_DIR.mkdir(exist_ok=True)
    changed = int(_write(LOCALE_DIR / f"{DOMAIN}.pot", template))
    for path in _catalogues():
        catalogue = _read(path)
        catalogue.update(template)
        changed += _write(path, catalogue)
    typer.echo(f"{len(template)} messages in {len(_catalogues())} catalogues, {changed} files changed.")


def _is_ours(directory: str | os.PathLike[str]) -> bool:
    return Path(directory).name not in {"node_modules", ".venv", "tests", "bench", "var"}


def compilemessages() -> None:
    """Turn the catalogues into what the app reads."""
    for path in _catalogues():
        catalogue = _read(path)
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalogue)
    typer.echo(f"{len(_catalogues())} catalogues compiled.")


def _catalogues() -> list[Path]:
    return sorted(LOCALE_DIR.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def _read(path: Path) -> Catalog:
    try:
        with path.open("rb") as file:
            return read_po(file, path.parts[-3], abort_invalid=True)
    except PoFileError as error:
        fail(f"{path}: {error}")
        raise typer.Exit(1) from error


def _write(path: Path, catalogue: Catalog) -> bool:
    """Whether there was anything to write. A new date alone is no news."""
    written = io.BytesIO()
    write_po(written, catalogue, width=110, sort_output=True, omit_header=False, include_lineno=False)
    if path.exists() and DATE.sub(b"", path.read_bytes()) == DATE.sub(b"", written.getvalue()):
        return False
    path.write_bytes(written.getvalue())
    return True
