"""The real server on a port of its own, and a Chromium before it: for the tests, and for the pictures in the README."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from settings import ROOT
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


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[Any], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def launch(playwright: "Playwright") -> "Browser | None":
    """The Chromium of this machine, if it has one."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    for path in (os.environ.get("LARDER_TEST_CHROMIUM"), *found, playwright.chromium.executable_path):
        if path and Path(path).exists():
            return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    return None
