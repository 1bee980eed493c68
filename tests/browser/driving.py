"""The real server on a port of its own, and a Chromium before it: for the tests, and for the pictures in the README."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from settings import ROOT
from tests.processes import free_port, wait_for
from tests.servers import SECRET

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEMO = re.compile(r"Sign in as (\S+) with the password (\S+)")


def environment_in(folder: Path) -> dict[str, str]:
    """For commands that keep to a database and to files of their own."""
    return {
        **os.environ,
        "LARDER_ENVIRONMENT": "test",
        "LARDER_DATABASE_URL": f"sqlite:///{folder / 'larder.db'}",
        "LARDER_STORAGE_URL": (folder / "files").as_uri(),
        "LARDER_SECRET_KEY": SECRET,
        "LARDER_LOG_LEVEL": "WARNING",
    }


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run `oppman.py`; what it said."""
    command = [sys.executable, "oppman.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def seed_demo(environment: dict[str, str]) -> dict[str, str]:
    """Make the demo household; what its owner fills in to sign in."""
    email, password = DEMO.findall(manage(environment, "seed", "--demo"))[0]
    return {"email": email, "password": password}


@contextmanager
def instance(folder: Path, *commands: Sequence[str], port: int | None = None, **variables: str) -> Iterator[str]:
    """The address of a server of our own, on a new database with the words in it and what more these commands make."""
    environment = {**environment_in(folder), **variables}
    for command in (["migrate"], ["seed"], *commands):
        manage(environment, *command)
    with serving(environment, folder / "server.log", port=port) as url:
        yield url


@contextmanager
def serving(environment: dict[str, str], log: Path, *, port: int | None = None) -> Iterator[str]:
    """The address of a server that runs meanwhile."""
    port = port or free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "oppman.py", "runserver", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://localhost:{port}"
            wait_for(f"{url}/readyz", process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def launch(playwright: "Playwright") -> "Browser | None":
    """The Chromium of this machine, if it has one."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    for path in (os.environ.get("LARDER_TEST_CHROMIUM"), *found, playwright.chromium.executable_path):
        if path and Path(path).exists():
            return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    return None
