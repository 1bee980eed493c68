"""A real OpenID provider (npm's `oidc-provider`, which is certified), and people who sign in there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.processes import free_port, wait_for

FOLDER = Path(__file__).parent
CLIENT_ID = "larder"
CLIENT_SECRET = "secret with spaces, 100% + more"
PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Provider:
    issuer: str

    async def sign_in(self, address: str, login: str) -> str:
        """Go there as `login`, without JavaScript; the address it sends the browser back to."""
        async with httpx.AsyncClient(base_url=self.issuer) as browser:
            response = await browser.get(address)
            for _step in range(12):
                if response.is_redirect:
                    location = response.headers["location"]
                    if not location.startswith((self.issuer, "/")):
                        return str(location)
                    response = await browser.get(location)
                    continue
                action = re.search(r'<form[^>]*action="([^"]+)"', response.text)
                if action is None:
                    break
                fields = dict(
                    re.findall(r'<input[^>]*type="hidden"[^>]*name="(\w+)"[^>]*value="([^"]*)"', response.text)
                )
                response = await browser.post(
                    unescape(action[1]), data={**fields, "login": login, "password": "anything"}
                )
        raise AssertionError(f"the provider does not let go: {response.status_code} {response.text[:2000]}")


@contextmanager
def running_provider(redirect_uri: str, log: Path) -> Iterator[Provider]:
    node = shutil.which("node", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if node is None or not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        if os.environ.get("CI"):
            pytest.fail("tests/openid/node_modules is missing: run `make install-dev`")
        pytest.skip("tests/openid/node_modules is missing: run `make install-dev`")
    port = free_port()
    issuer = f"http://localhost:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [node, "provider.mjs", str(port), redirect_uri],
            cwd=FOLDER,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(f"{issuer}/.well-known/openid-configuration", process, log)
            yield Provider(issuer)
        finally:
            # The wheel's `node` is a script that starts the real one, which would outlive it.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)
