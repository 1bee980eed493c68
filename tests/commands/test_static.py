"""collectstatic."""

import json
import re
import shutil
from pathlib import Path

import pytest

from commands import static
from commands.static import MODULES
from services.seeding import read_rows
from tests.commands.conftest import Oppman

pytestmark = pytest.mark.skipif(not MODULES.exists(), reason="node_modules is not there: run `make install`")


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Beside the assets that a server may be handing out."""
    monkeypatch.setattr(static, "DIST", tmp_path / "dist")
    return tmp_path / "dist"


def test_assets_are_built_once_and_old_ones_removed(oppman: Oppman, dist: Path) -> None:
    dist.mkdir()
    (dist / "app.0123456789ab.css").touch()

    first = oppman("collectstatic")
    built = {path.name: path.read_bytes() for path in dist.iterdir()}
    second = oppman("collectstatic")

    manifest = json.loads(built["manifest.json"])
    assert first.exit_code == 0
    assert first.stdout == f"{len(manifest)} files in static/dist, 1 old ones removed.\n"
    assert second.stdout == f"{len(manifest)} files in static/dist, 0 old ones removed.\n"
    assert {path.name: path.read_bytes() for path in dist.iterdir()} == built
    assert set(built) == {*manifest.values(), "manifest.json"}
    for name, hashed in manifest.items():
        stem, _dot, suffix = name.rpartition(".")
        assert re.fullmatch(rf"{re.escape(stem)}\.[0-9a-f]{{12}}\.{suffix}", hashed)
    shown_at_home = json.loads(built[manifest["app.webmanifest"]])
    assert {icon["src"].removeprefix("/static/") for icon in shown_at_home["icons"]} <= set(built)


def test_assets_ask_nobody_else(oppman: Oppman, dist: Path) -> None:
    oppman("collectstatic")

    for path in dist.glob("app.*"):
        assert set(re.findall(rb"https?://[^/\"']*", path.read_bytes())) <= {b"http://www.w3.org"}, path.name


def test_icons_of_categories_and_templates_are_in_the_sprite(oppman: Oppman, dist: Path) -> None:
    oppman("collectstatic")

    (sprite,) = dist.glob("icons.*.svg")
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', sprite.read_text()))
    assert {row["icon"] for row in read_rows("categories.csv")} - {""} <= drawn
    assert {"house", "plus"} <= drawn


def test_a_step_that_fails_is_told(oppman: Oppman, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not on the path")
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(static, "ROOT", tmp_path)

    result = oppman("collectstatic")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("npm ci --ignore-scripts")
    assert not dist.exists()
