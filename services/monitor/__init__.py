"""The monitor: how requests went, and what nobody expected. Off by default; problems are kept all the same."""

from services.monitor.problems import count_open, list_problems, reopen, resolve
from services.monitor.process import Facts
from services.monitor.process import read as read_process
from services.monitor.pruning import prune
from services.monitor.reading import Detail, Overview, get_request, list_requests, overview
from services.monitor.recorder import Body, Recorder, Sighting
from services.schemas.monitor import Window

__all__ = [
    "Body",
    "Detail",
    "Facts",
    "Overview",
    "Recorder",
    "Sighting",
    "Window",
    "count_open",
    "get_request",
    "list_problems",
    "list_requests",
    "overview",
    "prune",
    "read_process",
    "reopen",
    "resolve",
]
