"""`oppman.py` in a process that is killed, as by `kill -9`, after its next commit and before anybody hears of it.

Only while the file that `DIES_WHILE` names is there.
"""

import os
import signal
from pathlib import Path

from commands import application
from services import outbox
from services.core import bus

_publish = bus.publish


def publish(message: str, *, now_or_never: bool = False) -> None:
    if message == outbox.TOPIC and Path(os.environ["DIES_WHILE"]).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    _publish(message, now_or_never=now_or_never)


if __name__ == "__main__":
    bus.publish = publish
    application()
