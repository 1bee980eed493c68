"""Messengers and push apps, through apprise: in a process of its own (`apprise_child`), one for as long as there are
letters. Its plugins call servers that users name, block, and read answers of any length; a process can be kept to its
time and memory, and can refuse to connect to private addresses whatever library it is that connects."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process

import msgspec

from services.core.i18n import _
from services.delivery.content import Letter
from services.delivery.sender import Refused, Undelivered
from settings import ROOT, get_settings


class ServiceSender:
    def __init__(self) -> None:
        self._child: Process | None = None

    async def send(self, letter: Letter) -> None:
        outcome = ""
        try:
            body = f"{letter.text}\n\n{letter.url}"
            outcome = await self._ask({"url": letter.address, "title": letter.title, "body": body})
        finally:
            if not outcome:
                # Cut off or dead: what a child says next would be about this letter.
                await self.close()
        match outcome:
            case "sent":
                return
            case "address":
                raise Refused(_("The service does not understand this address. Is it complete?"))
            case "private":
                raise Refused(_("This address is on a private network."))
            case _:
                raise Undelivered(_("The service did not take it."))

    async def close(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()

    async def _ask(self, message: dict[str, str]) -> str:
        if self._child is None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.delivery.apprise_child",
                get_settings().outbound_allow,
                stdin=PIPE,
                stdout=PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=ROOT,
                env=_environment(),
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(msgspec.json.encode(message) + b"\n")
        return (await self._child.stdout.readline()).decode().strip()


def _environment() -> dict[str, str]:
    """What Python and TLS need; none of our settings."""
    kept = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"NO_PROXY": "*", "HOME": "/nonexistent"}
