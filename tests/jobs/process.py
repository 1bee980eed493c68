"""`oppman.py`, with the tasks of the tests."""

import tests.jobs.tasks  # noqa: F401  (registers them)
from commands import application

if __name__ == "__main__":
    application()
