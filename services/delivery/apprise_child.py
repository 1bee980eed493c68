"""A process that sends through apprise: a message a line in, a word a line out. See `service`.

`sent`; `address`: the plugin does not understand it; `private`: it leads to a private address; `failed`.
"""

import json
import resource
import sys
from importlib import import_module
from typing import Any

from apprise import AppriseAsset

from services.core import addresses
from services.delivery.schemes import PLUGINS

MAX_MEMORY = 512 * 1024 * 1024
ASSET = AppriseAsset(app_id="Larder", app_desc="Larder", app_url="", async_mode=False, http_redirects=False)


class Guard:
    """Sees every connection before it is made, whoever makes it, and refuses those to private addresses."""

    def __init__(self, allowed: str) -> None:
        self._exceptions = addresses.Exceptions.parse(allowed)
        self._host = ""
        self.has_refused = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            self._host = str(arguments[0])
        if event == "socket.connect":
            place = arguments[1]
            address = addresses.literal(str(place[0])) if isinstance(place, tuple) else None
            if address is None or not self._exceptions.permit(self._host, address):
                self.has_refused = True
                raise PermissionError("not a public address")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    guard = Guard(sys.argv[1])
    sys.addaudithook(guard)
    for line in sys.stdin:
        guard.has_refused = False
        outcome = _send(**json.loads(line))
        sys.stdout.write(("private" if guard.has_refused and outcome == "failed" else outcome) + "\n")
        sys.stdout.flush()


def _send(url: str, title: str, body: str) -> str:
    module, name = PLUGINS[url.partition("://")[0].lower()]
    # Only the plugin that is needed: apprise would load all of its hundreds.
    plugin = getattr(import_module(f"apprise.plugins.{module}"), name)
    try:
        told = plugin.parse_url(url)
        sender = plugin(asset=ASSET, **told) if told else None
    except TypeError:
        sender = None  # how plugins say that a part is missing
    if sender is None:
        return "address"
    return "sent" if sender.notify(title=title, body=body) else "failed"


if __name__ == "__main__":
    main()
