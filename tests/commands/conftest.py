"""`oppman.py` on a database of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

import settings as settings_module
from commands import application, asynchronous
from db import use_database
from services.core import storage
from settings import ROOT, Settings, get_settings
from tests.servers import ENGINES, SECRET, empty_database

T = TypeVar("T")

# aiosqlite's thread may tell that it could not open a file after the loop that asked has closed.
may_answer_late = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Oppman:
    """The management command, with settings that name one database and one storage."""

    def __init__(self, url: str, storage_url: str = "memory://") -> None:
        self.url = url
        self.storage_url = storage_url

    def __call__(self, *arguments: str, typed: str = "", **variables: str) -> Result:
        """Run a command in this process, as if it had one to itself."""
        with self._set_up(variables):
            return CliRunner().invoke(application, arguments, input=typed)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Run a command in a process of its own."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        command = [sys.executable, "oppman.py", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=self.environment({}), text=True, **pipes)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Look at the database that the commands worked on."""
        with self._set_up({}):
            return asynchronous.run(work)

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        own = {
            "LARDER_ENVIRONMENT": "test",
            "LARDER_DATABASE_URL": self.url,
            "LARDER_SECRET_KEY": SECRET,
            "LARDER_STORAGE_URL": self.storage_url,
        }
        return {**others, **own, **variables}

    @contextmanager
    def _set_up(self, variables: dict[str, str]) -> Iterator[None]:
        environment = self.environment(variables)
        threads = set(threading.enumerate())
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - environment.keys():
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(settings_module, "Settings", lambda: Settings(_env_file=None))
            get_settings.cache_clear()
            use_database(None)
            storage.use(None)
            yield
        # A process would end now. What its threads complain about is not for the next test to hear.
        for thread in set(threading.enumerate()) - threads:
            if not thread.name.startswith("storage"):  # those wait for the next that wants a file
                thread.join(timeout=10)
        get_settings.cache_clear()
        use_database(None)
        storage.use(None)


@pytest.fixture(params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Oppman]:
    """On a database with nothing in it."""
    with empty_database(request, tmp_path) as url:
        yield Oppman(url)


@pytest.fixture(scope="module", params=ENGINES)
def seeded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oppman]:
    """On a database with the words in it, that the tests of a module share."""
    with empty_database(request, tmp_path_factory.mktemp("oppman")) as url:
        oppman = Oppman(url)
        for command in ("migrate", "seed"):
            assert oppman(command).exit_code == 0
        yield oppman


@pytest.fixture
def oppman(tmp_path: Path) -> Oppman:
    """On SQLite, for what is the same on any database."""
    return Oppman(f"sqlite:///{tmp_path / 'larder.db'}")
