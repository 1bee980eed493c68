"""guard and monitor."""

import pytest

from tests.commands.conftest import Oppman


def test_the_commands_ban_list_and_unban(seeded: Oppman) -> None:
    assert seeded("guard", "list").stdout == "Nobody is kept out, and nothing is counted.\n"
    banned = seeded("guard", "ban", "2001:db8::7", "--minutes", "30", "--reason", "Noise")
    assert banned.stdout.startswith("2001:db8::7 is kept out until ")
    assert seeded("guard", "ban", "mallory@example.com").exit_code == 0

    listed = seeded("guard", "list").stdout
    assert "2001:db8::/64" in listed
    assert "Noise" in listed
    assert "mallory" not in listed

    assert seeded("guard", "unban", "2001:db8::/64").exit_code == 0
    assert seeded("guard", "unban", "mallory@example.com").exit_code == 0
    gone = seeded("guard", "unban", "2001:db8::7")
    assert (gone.exit_code, gone.stderr) == (1, "There is no such ban.\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["127.0.0.1"], ["198.51.100.7", "--minutes", "0"]])
def test_the_command_says_what_is_wrong(arguments: list[str], seeded: Oppman) -> None:
    refused = seeded("guard", "ban", *arguments)

    assert refused.exit_code == 1
    assert refused.stderr.startswith(("who: ", "minutes: "))


def test_the_monitor_forgets_when_it_is_told_to(seeded: Oppman) -> None:
    assert seeded("monitor", "prune", "--rows", "0").stdout == "0 requests forgotten.\n"
