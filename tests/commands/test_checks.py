"""check."""

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from commands import checks
from tests.commands.conftest import Oppman, may_answer_late
from tests.s3 import S3Server

IN_PRODUCTION = {
    "LARDER_ENVIRONMENT": "production",
    "LARDER_BASE_URL": "https://larder.example",
    "LARDER_REGISTRATION": "invite",
    "LARDER_TASKS": "embedded",
}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Production does not keep files in memory."""
    monkeypatch.setitem(IN_PRODUCTION, "LARDER_STORAGE_URL", (tmp_path / "files").as_uri())


@pytest.fixture(autouse=True)
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Assets that are built."""
    (tmp_path / "manifest.json").touch()
    monkeypatch.setattr(checks, "DIST", tmp_path)
    return tmp_path


def test_what_is_missing_is_told_step_by_step(empty: Oppman) -> None:
    result = empty("check")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "! The database is not at the newest migration: run `python oppman.py migrate`.\n"

    empty("migrate")
    result = empty("check")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "! Units and categories are missing: run `python oppman.py seed`.\n"

    empty("seed")
    result = empty("check")
    assert (result.exit_code, result.output) == (0, "Everything is in order.\n")


@may_answer_late
@pytest.mark.parametrize(
    "url",
    ["postgresql://larder:s3cret-word@127.0.0.1:1/larder", "sqlite:////nowhere/larder.db", "sqlite:///{folder}"],
)
def test_a_database_out_of_reach_is_told(url: str, tmp_path: Path) -> None:
    result = Oppman(url.format(folder=tmp_path))("check")

    assert (result.exit_code, result.output) == (1, "! The database does not answer.\n")


def test_a_database_that_does_not_exist_is_out_of_reach(postgresql: str) -> None:
    url = make_url(postgresql).set(database="nosuch").render_as_string(hide_password=False)

    result = Oppman(url)("check")

    assert (result.exit_code, result.output) == (1, "! The database does not answer.\n")


def test_a_misspelt_setting_is_told(seeded: Oppman) -> None:
    result = seeded("check", LARDER_REGISTRATON="closed", LARDER_TEST_CHROMIUM="x", LARDER_SUPERUSER_PASSWORD="x")

    assert result.exit_code == 1
    assert result.output == "! LARDER_REGISTRATON is set, but there is no such setting.\n"


def test_assets_that_are_not_built_are_told(seeded: Oppman, dist: Path) -> None:
    (dist / "manifest.json").unlink()

    result = seeded("check")

    assert result.exit_code == 1
    assert result.output == "! static/dist is not built: run `python oppman.py collectstatic`.\n"


def test_a_public_instance_can_be_in_order(seeded: Oppman) -> None:
    result = seeded("check", "--deploy", **IN_PRODUCTION)

    assert (result.exit_code, result.output) == (0, "Everything is in order.\n")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LARDER_ENVIRONMENT", "development", "LARDER_ENVIRONMENT is not production."),
        ("LARDER_BASE_URL", "http://larder.example", "LARDER_BASE_URL is not https"),
        ("LARDER_REGISTRATION", "open", "LARDER_REGISTRATION is open"),
        ("LARDER_API_DOCS", "true", "LARDER_API_DOCS is on"),
    ],
)
def test_a_public_instance_is_looked_at_more_closely(name: str, value: str, told: str, seeded: Oppman) -> None:
    variables = {**IN_PRODUCTION, name: value}

    result = seeded("check", "--deploy", **variables)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"! {told}")
    assert len(result.stderr.splitlines()) == 1
    assert seeded("check", **variables).exit_code == 0


def test_a_public_instance_knows_its_address(seeded: Oppman) -> None:
    variables = {name: value for name, value in IN_PRODUCTION.items() if name != "LARDER_BASE_URL"}

    result = seeded("check", "--deploy", **variables)

    assert result.exit_code == 1
    assert result.output.startswith("! LARDER_BASE_URL is not set")


def test_a_storage_that_cannot_be_written_is_told(seeded: Oppman, s3: S3Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url, shown in (
        (s3.url(bucket="nosuchbucket", prefix=""), "s3://nosuchbucket cannot be written: "),
        (s3.url(secret="s3cret-word", prefix=""), "s3://larder cannot be written: "),
        ((tmp_path / "file").as_uri(), f"file://{tmp_path}/file cannot be written: "),
    ):
        result = seeded("check", LARDER_STORAGE_URL=url)

        assert result.exit_code == 1
        assert f"! The storage {shown}" in result.stderr
        assert "s3cret-word" not in result.output


def test_a_folder_that_other_machines_may_not_see_is_asked_about(seeded: Oppman) -> None:
    if seeded.url.startswith("sqlite"):
        pytest.skip("needs PostgreSQL")

    asked = seeded("check", "--deploy", **{**IN_PRODUCTION, "LARDER_TASKS": "distributed"})

    assert "is a folder" in asked.stderr
    assert asked.stderr.count("! ") == 1  # that no worker is there


def test_production_does_not_keep_files_in_memory(seeded: Oppman) -> None:
    refused = seeded("check", **{**IN_PRODUCTION, "LARDER_STORAGE_URL": "memory://"})

    assert refused.exit_code == 1
    assert "LARDER_STORAGE_URL=memory:// forgets every file" in refused.stderr
