"""Real processes of Larder for tests that kill them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from settings import ROOT
from tests.servers import SECRET

PATIENCE = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


OPPMAN = ("oppman.py",)


def start(*command: str, env: dict[str, str], program: Sequence[str] = OPPMAN) -> subprocess.Popen[bytes]:
    """`oppman.py`, or what stands in for it, with nothing in its environment but this and a secret."""
    return subprocess.Popen(
        [sys.executable, *program, *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LARDER_ENVIRONMENT": "test", "LARDER_SECRET_KEY": SECRET, **env},
    )


@contextmanager
def running(*command: str, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = start(*command, env=env)
    try:
        yield process
    finally:
        kill(process, signal.SIGTERM)


def kill(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
    if process.poll() is None:
        process.send_signal(how)
    process.wait(PATIENCE)


@contextmanager
def serving(*, env: dict[str, str]) -> Iterator[str]:
    """A web process that is ready; its address."""
    port = free_port()
    with running("runserver", f"127.0.0.1:{port}", env=env) as process:
        wait_for(f"http://127.0.0.1:{port}/readyz", process)
        yield f"http://127.0.0.1:{port}"


def wait_for(address: str, process: subprocess.Popen[Any], log: Path | None = None) -> None:
    """Until a process that was started answers there."""
    until(lambda: process.poll() is not None or answers(address))
    if process.poll() is not None:
        raise RuntimeError(f"it did not start:\n{log.read_text() if log else ''}")


def answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def until(true: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for another process to have done something. Raises `TimeoutError`."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.05)
