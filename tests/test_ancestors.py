"""Each defect that was found in what Larder replaces, and the tests in which it would show if we had it.

D1 to D33 are those of the chat back end, F15 to F17 those of the site builder's pages and uploads. Every test that is
named here is there; those that belong nowhere else are below.
"""

import ast
import asyncio
import re
import threading
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
import yaml  # type: ignore[import-untyped]
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlmodel import SQLModel, col, select

from db import Database
from models import Category
from services import passwords
from services.core import storage
from services.passwords import HASHER
from settings import ROOT

SEEN_BY: Mapping[str, tuple[str, ...]] = {
    # Builds floated, and with what came one day every socket was refused.
    "D1": (
        "test_ancestors.py::test_the_image_is_built_from_locks_and_runs_as_nobody",
        "live/test_talk.py::test_whichever_way_one_is_let_in_one_hears_it",
        "live/test_processes.py::test_two_hold_a_conversation_at_two_processes",
    ),
    # Chats were read and deleted, and messages read, without signing in.
    "D2": (
        "api/test_chats.py::test_nobody_reads_or_deletes_a_chat_without_signing_in",
        "api/test_talk.py::test_talk_is_for_those_who_are_signed_in",
        "test_isolation.py::test_nobody_gets_in_without_signing_in",
        "test_architecture.py::test_every_route_knows_who_acts_or_is_public_on_purpose",
    ),
    # Anybody posted to any chat, also to none.
    "D3": (
        "services/test_talk.py::test_nobody_talks_where_they_do_not_see_the_chat",
        "api/test_talk.py::test_strangers_find_nothing",
        "test_isolation.py::test_what_belongs_to_another_household_is_not_there",
    ),
    # Anybody listened to any chat, whatever it was called.
    "D4": (
        "live/test_talk.py::test_those_who_were_not_chosen_and_strangers_hear_nothing",
        "live/test_talk.py::test_bad_frames_about_chats_are_answered_and_talk_goes_on",
    ),
    # With two processes, half of the people heard nothing.
    "D5": (
        "live/test_processes.py::test_two_hold_a_conversation_at_two_processes",
        "live/test_processes.py::test_two_hundred_members_at_two_processes_each_hear_each_message_once_and_in_order",
    ),
    # One slow client held up whoever wrote, and all others.
    "D6": (
        "live/test_talk.py::test_a_slow_client_delays_neither_who_writes_nor_who_listens",
        "live/test_sockets.py::test_a_slow_client_is_dropped_while_the_others_hear_everything",
    ),
    # Whoever came or went meanwhile made others miss a message.
    "D7": ("live/test_talk.py::test_who_comes_and_goes_meanwhile_makes_nobody_miss_anything",),
    # A binary frame left a dead socket behind.
    "D8": (
        "live/test_talk.py::test_bad_frames_about_chats_are_answered_and_talk_goes_on",
        "live/test_sockets.py::test_bad_frames_are_answered_and_the_socket_stays",
        "live/test_talk.py::test_a_socket_that_is_gone_leaves_no_room_behind",
    ),
    # Connecting to chats that there are not filled the memory.
    "D9": (
        "live/test_talk.py::test_unknown_chats_leave_nothing_behind",
        "live/test_sockets.py::test_ten_thousand_subscribes_get_ten_thousand_errors_and_a_pong",
    ),
    # An id in capitals was a chat of its own, in which nothing was ever said.
    "D10": (
        "live/test_talk.py::test_an_id_in_capitals_is_the_same_chat",
        "api/test_chats.py::test_an_id_is_the_same_in_capitals",
    ),
    # Who was let in once stayed, signed out, disabled or not; and from any site; and as often as they liked.
    "D11": (
        "live/test_talk.py::test_who_may_not_sign_in_any_more_hears_no_more_talk",
        "live/test_talk.py::test_who_leaves_the_household_hears_nothing_after_that_and_nothing_again",
        "live/test_sockets.py::test_a_session_that_is_ended_is_cut_off_and_no_other",
        "live/test_sockets.py::test_a_cookie_from_elsewhere_lets_nobody_in",
        "live/test_talk.py::test_one_can_look_at_a_hundred_chats_and_no_more",
    ),
    # The secret had a default, and the example a real-looking one.
    "D12": (
        "commands/test_application.py::test_wrong_settings_are_named_and_not_repeated",
        "commands/test_users.py::test_secrets_are_new_each_time_and_never_those_in_use",
        "test_ancestors.py::test_nothing_that_is_deployed_has_a_default_for_a_secret",
    ),
    # Every error showed where in the code it happened, or else its words.
    "D13": ("test_ancestors.py::test_an_error_of_ours_tells_nothing_of_itself",),
    "D14": ("test_ancestors.py::test_an_error_of_ours_tells_nothing_of_itself",),
    # A long password was a 500, and for those that there are only.
    "D15": (
        "api/test_auth.py::test_a_password_of_any_length_is_only_wrong",
        "services/test_accounts.py::test_a_long_password_is_not_cut_into_a_right_one",
        "services/test_accounts.py::test_a_password_longer_than_any_costs_no_more_and_is_never_right",
    ),
    # How long the answer took told whether there is an account.
    "D16": (
        "api/test_auth.py::test_unknown_addresses_cost_a_hash_as_well",
        "api/test_auth.py::test_wrong_passwords_and_unknown_addresses_answer_alike",
        "services/test_core.py::test_an_unknown_account_costs_as_much_hashing_as_a_known_one",
    ),
    # Hashing was weak, and everybody else waited for it.
    "D17": ("test_ancestors.py::test_nobody_waits_for_the_hashing_of_others_passwords",),
    # Other sites could act with one's cookies, which went over plain connections.
    "D18": (
        "sign_in/test_whose.py::test_other_sites_change_nothing",
        "admin/test_access.py::test_other_sites_change_nothing",
        "api/test_auth.py::test_cookies_are_secure_off_loopback",
    ),
    # No signing out; a stolen token was good for twenty days; passwords could be tried without end.
    "D19": (
        "api/test_auth.py::test_signing_out_ends_this_session_with_all_its_tokens",
        "api/test_auth.py::test_signing_out_everywhere_ends_every_session_but_nobody_elses",
        "api/test_auth.py::test_refreshing_rotates_both_tokens",
        "api/test_auth.py::test_a_refresh_token_that_comes_back_ends_its_session",
        "api/test_auth.py::test_all_that_a_stolen_token_bred_dies_with_its_family",
        "guard/test_limits.py::test_wrong_passwords_are_refused_after_a_while_whether_or_not_there_is_such_an_account",
    ),
    # A token of the wrong kind was a 500.
    "D20": (
        "api/test_auth.py::test_an_access_token_is_not_a_refresh_token_nor_a_cookie",
        "api/test_auth.py::test_forged_tokens_open_no_door_of_any_kind",
    ),
    # An avatar was whatever was sent, read into memory as a whole, under the name it came with, and stayed for ever.
    "D21": (
        "api/test_files.py::test_what_is_bad_is_refused_and_nothing_is_left",
        "api/test_files.py::test_what_is_two_gigabytes_is_read_up_to_the_limit",
        "api/test_files.py::test_any_name_is_survived",
        "services/test_files.py::test_nothing_else_is_taken",
        "services/test_files.py::test_a_picture_of_too_many_pixels_is_not_decoded",
        "services/test_files.py::test_what_is_kept_has_a_key_of_ours",
        "services/test_files.py::test_what_a_new_picture_replaces_is_let_go",
        "services/test_files.py::test_a_storage_that_goes_down_in_the_middle_leaves_nothing",
        "services/test_storage.py::test_100_megabytes_cost_less_than_20_of_memory",
    ),
    # Each use of the storage made a client, and looked whether there is a bucket; no permission was no bucket.
    "D22": (
        "test_ancestors.py::test_the_storage_is_opened_once_in_a_process",
        "services/test_storage.py::test_wrong_keys_are_refused",
        "services/test_storage.py::test_a_bucket_that_is_not_there_is_told",
    ),
    # What was half done was committed when it failed; connections that died were handed out.
    "D23": (
        "test_ancestors.py::test_what_is_cut_off_leaves_nothing_of_it",
        "test_db.py::test_what_is_written_after_somebody_was_cut_off_as_they_began_is_committed",
        "live/test_processes.py::test_every_connection_to_the_database_is_killed_and_nobody_misses_anything",
    ),
    # Of two at once, both made the same title, or one got a 500; addresses in capitals were others.
    "D24": (
        "test_concurrency.py::test_twenty_who_make_a_chat_of_one_title_make_one",
        "test_concurrency.py::test_of_twenty_who_rename_their_chats_alike_one_does",
        "test_concurrency.py::test_of_many_who_register_one_address_at_once_one_has_it",
        "api/test_auth.py::test_an_address_is_registered_once_however_it_is_written",
    ),
    # Every page of messages and every sign-in read a whole table.
    "D25": (
        "test_ancestors.py::test_what_everybody_asks_for_is_found_by_an_index",
        "services/test_talk.py::test_a_page_costs_as_many_statements_however_much_is_in_it",
        "test_statements.py::test_longer_lists_cost_no_more_statements",
    ),
    # Moments had no zone, and meant something else in each store.
    "D26": (
        "services/test_core.py::test_moments_are_aware_and_in_utc",
        "test_architecture.py::test_the_clock_is_the_only_clock",
    ),
    # The file that starts it named services that are not in it.
    "D27": ("test_ancestors.py::test_what_is_deployed_names_only_what_is_there",),
    # The image ran by accident only, as root; the databases were open to everybody.
    "D28": (
        "test_ancestors.py::test_the_image_is_built_from_locks_and_runs_as_nobody",
        "test_ancestors.py::test_only_the_web_is_reached_from_outside_and_versions_are_named",
    ),
    # An address with a line break, a name of spaces, and one that is too long went through.
    "D29": (
        "api/test_auth.py::test_an_address_that_only_looks_right_is_refused_at_its_field",
        "api/test_auth.py::test_registering_says_which_field_is_wrong",
        "services/test_core.py::test_what_cannot_be_seen_is_no_name",
    ),
    # What was said in a chat that was deleted could still be read, and nobody was told.
    "D30": (
        "services/test_chats.py::test_with_a_chat_goes_all_that_was_said_in_it",
        "live/test_talk.py::test_what_becomes_of_a_chat_is_told_to_those_who_see_it",
        "live/test_talk.py::test_nobody_looks_at_a_chat_that_was_deleted",
    ),
    # A message and its telling were two things: one without the other, and nothing to make up for it.
    "D31": (
        "services/test_talk.py::test_a_message_is_told_in_the_transaction_that_says_it",
        "live/test_processes.py::test_a_process_that_is_killed_between_a_message_and_its_telling_loses_and_doubles_nothing",
        "live/test_talk.py::test_who_was_away_hears_what_was_said_in_order_and_once",
    ),
    # Nobody could tell what went on in it, nor who said something.
    "D32": (
        "api/test_errors.py::test_every_response_has_an_id_of_its_own",
        "api/test_metrics.py::test_requests_are_counted_by_route",
        "commands/test_server.py::test_it_serves_until_it_is_told_to_stop",
        "services/test_chats.py::test_people_have_a_name_and_a_picture_and_former_members_are_not_there",
    ),
    # One title in the whole system: others could find out about it, or take it.
    "D33": ("services/test_chats.py::test_another_household_has_its_own_titles",),
    # What people wrote became part of the page.
    "F15": (
        "pages/test_chats.py::test_nothing_that_is_written_is_markup",
        "test_architecture.py::test_no_html_is_built_in_python",
        "test_architecture.py::test_templates_mark_nothing_as_safe_and_hold_no_script",
    ),
    # A file was what it called itself, and was served as a page of ours; all else waited for it; old ones stayed.
    "F16": (
        "services/test_files.py::test_a_picture_is_known_by_its_content",
        "services/test_files.py::test_nothing_else_is_taken",
        "api/test_files.py::test_a_document_is_only_ever_a_download",
        "api/test_files.py::test_what_says_that_it_is_two_gigabytes_is_not_read",
        "services/test_files.py::test_who_serves_requests_never_loads_a_decoder",
        "services/test_files.py::test_what_a_new_picture_replaces_is_let_go",
    ),
    # Where files were kept was known to whoever wrote them and not to whoever deleted them.
    "F17": (
        "services/test_files.py::test_what_nobody_refers_to_goes_and_everything_else_stays",
        "services/test_files.py::test_with_a_household_or_an_account_go_its_files",
        "services/test_storage.py::test_deleting_removes_what_is_there",
        "services/test_storage.py::test_a_key_leads_down_and_nowhere_else",
    ),
}


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of its tests, read and not run."""
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def test_every_defect_has_a_test() -> None:
    known = {f"D{number}" for number in range(1, 34)} | {f"F{number}" for number in range(15, 18)}

    assert set(SEEN_BY) == known
    assert all(SEEN_BY.values())


@pytest.mark.parametrize("test", sorted({test for tests in SEEN_BY.values() for test in tests}))
def test_every_test_that_is_named_is_there(test: str) -> None:
    path, _colons, name = test.partition("::")

    assert name in names_in(path)


# What belongs nowhere else


@pytest_asyncio.fixture
async def broken(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client of an app with a route that fails."""

    async def fail() -> None:
        raise RuntimeError("SELECT hashed_password FROM user ON db.internal")

    app.router.add_api_route("/api/v1/broken", fail)
    app.router.routes.insert(0, app.router.routes.pop())
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_an_error_of_ours_tells_nothing_of_itself(app: FastAPI, broken: AsyncClient) -> None:
    answer = await broken.get("/api/v1/broken")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    for word in ("SELECT", "hashed_password", "db.internal", "RuntimeError", "Traceback", "test_ancestors", "line "):
        assert word not in answer.text
    assert answer.json()["request_id"]
    assert not app.debug


async def test_nobody_waits_for_the_hashing_of_others_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    verify = HASHER.verify_and_update

    def note(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return verify(*arguments)

    hashed = await passwords.hash_password("correct horse 7")
    monkeypatch.setattr(HASHER, "verify_and_update", note)

    assert await passwords.verify("correct horse 7", hashed) == (True, None)
    assert threads
    assert threading.get_ident() not in threads
    assert hashed.startswith("$argon2id$")


@pytest.mark.parametrize("failure", [RuntimeError, KeyError, asyncio.CancelledError, SystemExit])
async def test_what_is_cut_off_leaves_nothing_of_it(database: Database, failure: type[BaseException]) -> None:
    async def write() -> None:
        async with database.session_scope() as session:
            session.add(Category(name="Half done", name_key="half done"))
            await session.flush()
            raise failure

    with pytest.raises(failure):
        await write()

    async with database.session_scope(read_only=True) as session:
        assert (await session.scalars(select(Category.id).where(col(Category.name_key) == "half done"))).all() == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("attachment", "message_id"),
        ("chat", "household_id"),
        ("chat_member", "chat_id"),
        ("chat_member", "user_id"),
        ("mention", "message_id"),
        ("message", "chat_id"),
        ("notification", "user_id"),
        ("reaction", "message_id"),
        ("read_marker", "user_id"),
        ("session_token", "token_hash"),
        ("stored_file", "household_id"),
        ("user", "email"),
    ],
)
def test_what_everybody_asks_for_is_found_by_an_index(table: str, column: str) -> None:
    found = SQLModel.metadata.tables[table]
    keys = [list(index.columns) for index in found.indexes if "where" not in str(index.dialect_kwargs)]
    keys += [
        list(key.columns) for key in found.constraints if isinstance(key, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
    ]

    assert column in {columns[0].name for columns in keys}


def test_the_storage_is_opened_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def note(_url: str) -> object:
        opened.append(object())
        return opened[-1]

    monkeypatch.setattr(storage, "open_storage", note)
    storage.use(None)
    try:
        assert storage.current() is storage.current()
    finally:
        storage.use(None)

    assert len(opened) == 1


COMPOSE = ROOT / "compose.yaml"


def test_the_image_is_built_from_locks_and_runs_as_nobody() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    installs = [line for line in lines if "pip install" in line]
    run = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]

    assert installs
    assert all("--require-hashes -r requirements" in line for line in installs)
    assert [line for line in run if line.startswith("USER ")] == ["USER 10001:10001"]
    assert "--reload" not in "\n".join(lines)
    assert not [line for line in lines if line.startswith("FROM ") and (":" not in line or ":latest" in line)]


def test_what_is_deployed_names_only_what_is_there() -> None:
    deployed = yaml.safe_load(COMPOSE.read_text())
    services = deployed["services"]
    needed = {name for service in services.values() for name in service.get("depends_on", {})}
    volumes = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", ())}

    assert needed
    assert needed <= set(services)
    assert volumes <= set(deployed["volumes"])
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert set(phony.split()) == set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_only_the_web_is_reached_from_outside_and_versions_are_named() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]

    assert [name for name, service in services.items() if "ports" in service] == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in services["web"]["ports"])
    images = [service["image"] for service in services.values()]
    assert not [image for image in images if ":" not in image or image.endswith(":latest")]


def test_nothing_that_is_deployed_has_a_default_for_a_secret() -> None:
    text = COMPOSE.read_text()
    secrets = re.findall(r"\$\{([A-Z_]*(?:SECRET|PASSWORD|KEY)[A-Z_]*)(:?[-?][^}]*)?\}", text)

    assert {name for name, _rest in secrets} >= {"LARDER_SECRET_KEY", "POSTGRES_PASSWORD"}
    # It must be given, or may be left empty: what is behind `:-` would be known to everybody.
    assert [name for name, rest in secrets if not (rest.startswith(":?") or rest == ":-")] == []
