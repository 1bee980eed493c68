"""collectstatic: build our css and js with npm's tools, gather the rest, and name everything by its content."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from services.seeding import read_rows
from settings import ROOT

STATIC = ROOT / "static"
BUILD = STATIC / "build"
DIST = STATIC / "dist"
MODULES = ROOT / "node_modules"
STAMP = MODULES / ".larder-lock"

SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
# What names icons in Python: the panel's tables and its menu.
NAMED_IN_PYTHON = ("admin", "services/seeds")
QUOTED = re.compile(r"""["']([a-z0-9]+(?:-[a-z0-9]+)*)["']""")


class BuildError(Exception):
    """A step of the build failed; the message says which and how."""


def collectstatic() -> None:
    """Build static/dist: css, js, the icon sprite and the API page's assets, named by their content."""
    try:
        _install_modules()
        _run("npm", "run", "--silent", "build")
    except BuildError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(1) from error
    DIST.mkdir(parents=True, exist_ok=True)
    manifest: dict[str, str] = {}
    for name, gathered in _gather():
        content = _with_addresses(gathered, manifest) if name.endswith(".webmanifest") else gathered
        manifest[name] = f"{Path(name).stem}.{_digest(content)}{Path(name).suffix}"
        (DIST / manifest[name]).write_bytes(content)
    (DIST / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True))
    stale = {path.name for path in DIST.iterdir()} - set(manifest.values()) - {"manifest.json"}
    for name in stale:
        (DIST / name).unlink()
    typer.echo(f"{len(manifest)} files in static/dist, {len(stale)} old ones removed.")


def _install_modules() -> None:
    """`npm ci`, unless what the lock names is installed already."""
    lock = (ROOT / "package-lock.json").read_bytes()
    if STAMP.exists() and STAMP.read_text() == _digest(lock):
        return
    # No package of ours needs its install scripts, and some of others' phone home.
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    STAMP.write_text(_digest(lock))


def _run(*command: str) -> None:
    # Node.js may have come into the virtual environment as a wheel.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = shutil.which(command[0], path=path)
    if program is None:
        raise BuildError(f"{command[0]} is missing: run `make install`, or install Node.js 18 or newer.")
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _gather() -> Iterator[tuple[str, bytes]]:
    for name in (
        "app.css",
        "account.css",
        "acting.css",
        "admin.css",
        "audit.css",
        "chat.css",
        "files.css",
        "monitor.css",
        "told.css",
        "app.js",
        "admin.js",
        "api_docs.js",
        "chat.js",
        "files.js",
        "passkeys.js",
        "sw.js",
    ):
        yield name, (BUILD / name).read_bytes()
    yield "icons.svg", _sprite().encode()
    for name in SWAGGER:
        yield name, (MODULES / "swagger-ui-dist" / name).read_bytes()
    # The web manifest comes last: it names the others.
    for path in sorted((STATIC / "src" / "img").iterdir(), key=lambda path: (path.suffix == ".webmanifest", path.name)):
        yield path.name, path.read_bytes()


def _with_addresses(content: bytes, manifest: dict[str, str]) -> bytes:
    text = content.decode()
    for name, hashed in manifest.items():
        text = text.replace(f"/static/{name}", f"/static/{hashed}")
    return text.encode()


def _sprite() -> str:
    """One svg with a symbol for each lucide icon that templates, categories or the panel name."""
    folder = MODULES / "lucide-static" / "icons"
    names = {row["icon"] for row in read_rows("categories.csv")} - {""}
    modules = [path for folder in NAMED_IN_PYTHON for path in (ROOT / folder).rglob("*.py")]
    for source in (*(ROOT / "templates").rglob("*.html"), *modules):
        names.update(QUOTED.findall(source.read_text(encoding="utf-8")))
    symbols = [_symbol(folder / f"{name}.svg") for name in sorted(names) if (folder / f"{name}.svg").exists()]
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>'


def _symbol(path: Path) -> str:
    svg = path.read_text(encoding="utf-8")
    inner = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    return f'<symbol id="{path.stem}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>'


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
