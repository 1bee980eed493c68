"""What all commands have in common: help, and how they tell what went wrong."""

from pathlib import Path

import pytest

from commands import application
from tests.commands.conftest import Oppman, may_answer_late

COMMANDS = [
    command.name or command.callback.__name__.replace("_", "-")
    for command in application.registered_commands
    if command.callback
]
ON_THE_DATABASE = (
    ["migrate"],
    ["showmigrations"],
    ["makemigrations"],
    ["seed"],
    ["createsuperuser", "--noinput", "--email", "ann@example.com"],
    ["changepassword", "--noinput", "ann@example.com"],
    ["check"],
)
PASSWORD = "s3cret-word"
NOBODY_LISTENS = f"postgresql://larder:{PASSWORD}@127.0.0.1:1/larder"


def test_without_a_command_it_lists_what_there_is(oppman: Oppman) -> None:
    result = oppman()

    assert result.exit_code == 2
    assert all(f" {name} " in result.output for name in COMMANDS)


def test_the_commands_of_the_contract_are_there() -> None:
    assert {
        "runserver",
        "migrate",
        "makemigrations",
        "showmigrations",
        "sqlmigrate",
        "seed",
        "createsuperuser",
        "changepassword",
        "check",
        "shell",
        "dbshell",
        "test",
        "collectstatic",
        "routes",
    } <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does(command: str, oppman: Oppman) -> None:
    result = oppman(command, "--help")

    assert result.exit_code == 0
    usage, _options, said = result.output.partition(f"Usage: oppman.py {command} ")
    assert usage.strip() == ""
    assert len(said.split("╭")[0].splitlines()) > 2


@pytest.mark.parametrize("arguments", [["bogus"], ["migrate", "0001", "0002"], ["seed", "--bogus"], ["sqlmigrate"]])
def test_what_is_typed_wrong_is_told(arguments: list[str], oppman: Oppman) -> None:
    result = oppman(*arguments)

    assert result.exit_code == 2
    assert "Usage: oppman.py" in result.stderr


@pytest.mark.parametrize("arguments", ON_THE_DATABASE, ids=lambda arguments: arguments[0])
def test_a_database_that_is_down_is_told_without_its_password(arguments: list[str]) -> None:
    result = Oppman(NOBODY_LISTENS)(*arguments, LARDER_SUPERUSER_PASSWORD="kitchen42x")

    assert result.exit_code == 1
    assert "database" in result.stderr
    assert "Traceback" not in result.output
    assert PASSWORD not in result.output
    assert "kitchen42x" not in result.output


@may_answer_late
@pytest.mark.parametrize("arguments", ON_THE_DATABASE, ids=lambda arguments: arguments[0])
def test_a_file_that_is_no_database_is_told(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Not a database. " * 100)

    result = Oppman(f"sqlite:///{path}")(*arguments, LARDER_SUPERUSER_PASSWORD="kitchen42x")

    assert result.exit_code == 1
    assert "database" in result.stderr
    assert path.read_text() == "Not a database. " * 100


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"LARDER_DATABASE_URL": "garbage"}, "LARDER_DATABASE_URL: not a database URL"),
        ({"LARDER_DATABASE_URL": "postgresql://u:s3cret-word@h:port/n"}, "LARDER_DATABASE_URL: not a database URL"),
        ({"LARDER_DATABASE_URL": "postgresql://u:s3cret-word@h:99999/n"}, "LARDER_DATABASE_URL: 99999 is not a port"),
        ({"LARDER_DATABASE_URL": "postgresql://u:s3cret-word@h/n?bogus=1"}, "there is no option bogus"),
        ({"LARDER_DATABASE_URL": "mysql://u:s3cret-word@h/n"}, "LARDER_DATABASE_URL: use sqlite:///path or postgresql"),
        ({"LARDER_DATABASE_URL": "sqlite://"}, "LARDER_DATABASE_URL: name a file"),
        ({"LARDER_ENVIRONMENT": "moon"}, "LARDER_ENVIRONMENT: "),
        ({"LARDER_POOL_SIZE": "1"}, "LARDER_POOL_SIZE: "),
        ({"LARDER_LOG_LEVEL": "loud"}, "LARDER_LOG_LEVEL: use DEBUG"),
        ({"LARDER_ENVIRONMENT": "production", "LARDER_SECRET_KEY": "s3cret-word"}, "LARDER_SECRET_KEY must be set"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value.values()),
)
@pytest.mark.parametrize("command", ["migrate", "check", "runserver", "shell"])
def test_wrong_settings_are_named_and_not_repeated(
    command: str, variables: dict[str, str], told: str, oppman: Oppman
) -> None:
    result = oppman(command, **variables)

    assert result.exit_code == 1
    assert told in result.stderr
    assert result.stdout == ""
    assert PASSWORD not in result.output


def test_a_postgresql_address_may_be_as_hosts_hand_it_out() -> None:
    result = Oppman(f"postgres://larder:{PASSWORD}@127.0.0.1:1/larder?sslmode=require")("migrate")

    assert result.exit_code == 1
    assert "Connect call failed" in result.stderr
