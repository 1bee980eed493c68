"""The rules of the house, read from the source. Each failure says how to mend it."""

import ast
import re
from collections.abc import Iterator
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction
from itertools import pairwise
from pathlib import Path

import pytest
from fastapi import FastAPI

from routes import deps
from routes.table import RouteEntry, list_routes
from services.permissions import ROLE_PERMISSIONS
from settings import ROOT
from tests.doors import calls_of

FOLDERS = ("admin", "commands", "routes", "services")
MODULES = ("auth.py", "db.py", "main.py", "models.py", "oppman.py", "settings.py")
SOURCES = sorted(
    path.relative_to(ROOT)
    for paths in ((ROOT / name for name in MODULES), *((ROOT / folder).rglob("*.py") for folder in FOLDERS))
    for path in paths
)

# From the top of the house down. A module may import from its own floor and from those below it.
FLOORS = (
    ("main", "oppman"),
    ("routes", "admin", "commands", "auth"),
    ("services",),
    ("models", "db", "services.schemas"),
    ("services.core",),
    ("settings",),
)
# services.schemas describe what dates, models and messages know; the ledger's floor is theirs too.
ALSO_BELOW_SCHEMAS = {"services.dates"}
WEB = {"fastapi", "starlette", "routes", "admin", "auth", "sqladmin"}
# What is imported inside a function there is heavy and seldom needed.
IMPORTS_WITHIN = {
    Path("services/core/bus/__init__.py"),
    Path("services/feeds.py"),
    Path("services/jobs/engines.py"),
    Path("services/passwords.py"),
}

PUBLIC = {
    "static:service_worker",
    "health:metrics",
    "auth:forgot",
    "auth:login",
    "auth:login_code",
    "auth:login_openid",
    "auth:login_passkey",
    "auth:login_passkey_options",
    "auth:openid_callback",
    "auth:openid_go",
    "auth:refresh",
    "auth:register",
    "auth:reset",
    "auth:verify",
    "feeds:calendar",
    "files:content",
    "health:alive",
    "health:ready",
    "invitations:preview",
    "links:act",
    "links:ask",
    "openapi",
    "_docs",
}


def floor_of(module: str) -> int:
    matching = [
        (len(name), floor)
        for floor, names in enumerate(FLOORS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    return max(matching)[1] if matching else -1


def tree_of(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_down_only(path: Path) -> None:
    own = floor_of(module_of(path))
    upward = [
        f"{path}:{line} imports {name}, which lies above it. Move what is needed down, or pass it in."
        for name, line in imports_of(path)
        if -1 < floor_of(name) < own and name not in ALSO_BELOW_SCHEMAS and not name.startswith("services.dates.")
    ]
    assert upward == []


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[0] in {"services", "models.py"}], ids=str)
def test_services_know_nothing_of_the_web(path: Path) -> None:
    known = [
        f"{path}:{line} imports {name}. Services are plain functions: let a route translate."
        for name, line in imports_of(path)
        if name.split(".")[0] in WEB
    ]
    assert known == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_the_database_module_commits(path: Path) -> None:
    if path == Path("db.py"):
        return
    commits = [
        f"{path}:{node.lineno} commits. One request is one transaction: flush for an id, and let db.py commit."
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]
    assert commits == []


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[0] not in {"commands", "oppman.py"}], ids=str)
def test_only_commands_print(path: Path) -> None:
    prints = [
        f"{path}:{node.lineno} prints. Log with structlog, or return it to a command."
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_html_is_built_in_python(path: Path) -> None:
    tag = re.compile(r"</?(a|b|button|div|form|h[1-6]|html|i|input|li|option|p|script|span|table|td|tr|ul)\b[^>]*>")
    built = [
        f"{path}:{node.lineno} builds HTML. Put it into a template, where it is escaped."
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and tag.search(node.value)
    ]
    assert built == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_stand_at_the_top(path: Path) -> None:
    if path in IMPORTS_WITHIN:
        return
    within = [
        f"{path}:{node.lineno} imports inside a function. Import at the top, modules rather than functions."
        for function in ast.walk(tree_of(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert within == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_nothing_swallows_every_exception(path: Path) -> None:
    # These answer for what nobody expected, once, and log it: in requests, and in tasks.
    if path in {Path("routes/errors.py"), Path("services/jobs/runs.py")}:
        return
    caught = [
        f"{path}:{node.lineno} catches everything. Name what you expect."
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]
    assert caught == []


def test_the_clock_is_the_only_clock() -> None:
    calls = {"now", "utcnow", "today"}
    told = [
        f"{path}:{node.lineno} asks the system for the time. Ask services.core.clock, which tests can stop."
        for path in SOURCES
        if path != Path("services/core/clock.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in calls
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date"}
    ]
    assert told == []


def test_relationships_are_never_loaded_by_accident() -> None:
    loose = [
        f"models.py:{node.lineno} makes a relationship that loads lazily. Use _relationship()."
        for node in ast.walk(tree_of(Path("models.py")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Relationship"
    ]
    assert len(loose) == 1  # the one inside _relationship()


def test_templates_translate_what_people_wrote_as_text() -> None:
    """`_()` takes its text for markup: what is in a variable goes through `translated()`, and is escaped."""
    for path in (ROOT / "templates").rglob("*.html"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not re.search(r"\b(_|gettext)\(\s*[^\"'\s]", line), f"{path}:{number}: say translated(...)."


def test_templates_mark_nothing_as_safe_and_hold_no_script() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        where = path.relative_to(ROOT)
        assert "|safe" not in text.replace(" ", ""), f"{where} marks something as safe. Let it be escaped."
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), f"{where} has an inline script. The policy refuses it."
        assert not re.search(r'\son[a-z]+="', text), f"{where} has an event handler. Put it into static/src/js."
        assert not re.search(r'\sstyle="', text), f"{where} has an inline style. Put it into static/src/css."


# Routes


KNOWN = (deps._actor, deps._account, deps._staff, deps._socket_account)


def _own_routes(app: FastAPI) -> list[RouteEntry]:
    return [entry for entry in list_routes(app) if entry.methods != {"*"}]


def _depends_on(entry: RouteEntry, *calls: object) -> bool:
    return any(call in calls for call in calls_of(entry.dependant))


def test_every_route_knows_who_acts_or_is_public_on_purpose(app: FastAPI) -> None:
    open_doors = [
        f"{sorted(entry.methods)} {entry.path} ({entry.name}) asks for no actor. Take ActorDep or AccountDep, "
        "or add its name to PUBLIC in this test."
        for entry in _own_routes(app)
        if entry.name not in PUBLIC
        and not _depends_on(entry, deps._actor, deps._account, deps._staff, deps._socket_account)
    ]
    assert open_doors == []


def test_every_route_of_a_household_is_in_the_permission_table(app: FastAPI) -> None:
    granted = set().union(*ROLE_PERMISSIONS.values())
    named = {entry.name for entry in _own_routes(app) if _depends_on(entry, deps._actor)}
    # Asked for by services, about what a route may do to whom.
    finer = {"chats:edit_others", "members:remove_others", "members:transfer_ownership", "messages:delete_others"}

    assert named - granted == set(), "Nobody may use these routes: grant them to a role in services/permissions.py."
    stale = granted - named - finer
    assert stale == set(), "These permissions belong to no route: take them out of services/permissions.py."


def test_roles_grow_from_viewer_to_owner() -> None:
    roles = list(ROLE_PERMISSIONS.values())

    assert all(lower < higher for lower, higher in pairwise(roles))


def test_every_route_of_a_household_goes_through_its_actor(app: FastAPI) -> None:
    loose = [
        entry.path
        for entry in _own_routes(app)
        if "{household_id}" in entry.path and not _depends_on(entry, deps._actor)
    ]
    assert loose == []


def test_no_request_waits_for_a_thread_only_to_be_looked_at(app: FastAPI) -> None:
    called = {call for entry in _own_routes(app) for call in (entry.endpoint, *calls_of(entry.dependant))}
    plain = sorted(
        f"{call.__qualname__} is a plain function, which FastAPI calls in a thread. Make it `async def`."
        for call in called
        if isfunction(call) and not (iscoroutinefunction(call) or isasyncgenfunction(call))
    )
    assert plain == []
