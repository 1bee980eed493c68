"""shell, test, routes, makemessages, compilemessages."""

import gettext
from pathlib import Path

import pytest

from commands import development
from tests.commands.conftest import Oppman

GERMAN = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: de\\n"

msgid "Please sign in."
msgstr "Bitte melde dich an."

msgid "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich"
msgstr "Franz jagt im komplett verwahrlosten Taxi quer durch Bayern"
"""


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue, in a folder of its own."""
    path = tmp_path / "locale" / "de" / "LC_MESSAGES" / "larder.po"
    path.parent.mkdir(parents=True)
    path.write_text(GERMAN.lstrip())
    monkeypatch.setattr(development, "LOCALE_DIR", tmp_path / "locale")
    return path


def test_the_shell_runs_one_command(seeded: Oppman) -> None:
    asked = """
async def find(name):
    async with session_scope(read_only=True) as session:
        return await session.get(Household, name)
print(run(find("00000000-0000-4000-8000-000000000000")), clock.now().year)
"""
    result = seeded("shell", "-c", asked)

    assert (result.exit_code, result.output) == (0, "None 2026\n")


def test_the_shell_fails_when_its_command_does(oppman: Oppman) -> None:
    result = oppman("shell", "-c", "1 / 0")

    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_the_shell_is_a_python_with_the_models(oppman: Oppman) -> None:
    shell = oppman.start("shell")
    said, _nothing = shell.communicate("Lot.__tablename__ + 's'\nexit()\n")

    assert shell.returncode == 0
    assert "Larder's models are here" in said
    assert "'lots'" in said


def test_tests_are_run_by_pytest_with_what_follows(oppman: Oppman) -> None:
    run = oppman.start("test", "--version")
    said, _nothing = run.communicate()

    assert (run.returncode, said) == (0, f"pytest {pytest.__version__}\n")


def test_tests_fail_as_pytest_does(oppman: Oppman) -> None:
    run = oppman.start("test", "-c", "nowhere.toml")
    said, _nothing = run.communicate()

    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "nowhere.toml" in said


def test_routes_are_listed_with_the_least_role(oppman: Oppman) -> None:
    listing = oppman.start("routes")
    said, _nothing = listing.communicate()

    assert listing.returncode == 0
    roles = {(methods, path): (name, role) for methods, path, name, role in map(str.split, said.splitlines())}
    lots = "/api/v1/households/{household_id}/lots"
    assert roles["GET", lots] == ("stock:list", "viewer")
    assert roles["POST", lots] == ("stock:add", "member")
    assert roles["DELETE", "/api/v1/households/{household_id}"] == ("households:delete", "owner")
    assert roles["GET", "/healthz"][1] == "-"
    assert roles["*", "/admin/*"] == ("admin", "-")


def test_messages_are_collected_once(oppman: Oppman, german: Path) -> None:
    result = oppman("makemessages")

    assert result.exit_code == 0
    assert "messages in 1 catalogues, 2 files changed." in result.stdout
    template = (german.parents[2] / "larder.pot").read_text()
    assert 'msgid "Please sign in."' in template
    assert "#: auth.py" in template
    assert "#: templates/" in template
    assert "node_modules" not in template
    assert "#: tests" not in template
    updated = german.read_text()
    assert 'msgstr "Bitte melde dich an."' in updated
    assert '#~ msgid "Zwölf' in updated

    again = oppman("makemessages")

    assert again.exit_code == 0
    assert "0 files changed." in again.stdout
    assert german.read_text() == updated


def test_catalogues_are_compiled(oppman: Oppman, german: Path) -> None:
    for _once_more in range(2):
        result = oppman("compilemessages")

        assert (result.exit_code, result.output) == (0, "1 catalogues compiled.\n")
    translation = gettext.translation("larder", german.parents[2], ["de"])
    assert translation.gettext("Please sign in.") == "Bitte melde dich an."


def test_no_catalogues_are_no_failure(oppman: Oppman, german: Path) -> None:
    german.unlink()

    assert oppman("compilemessages").output == "0 catalogues compiled.\n"


@pytest.mark.parametrize("command", ["makemessages", "compilemessages"])
def test_a_broken_catalogue_is_named_and_left_alone(command: str, oppman: Oppman, german: Path) -> None:
    german.write_text('msgid "Half\n')

    result = oppman(command)

    assert result.exit_code == 1
    assert "de/LC_MESSAGES/larder.po" in result.stderr
    assert german.read_text() == 'msgid "Half\n'
    assert not german.with_suffix(".mo").exists()
