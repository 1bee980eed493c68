"""A page as it is for every eye and thumb: whether it fits, is large enough, and what axe finds."""

from typing import TYPE_CHECKING, Literal

from settings import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

Size = tuple[int, int]
Scheme = Literal["light", "dark"]

PHONE = (360, 740)
DESK = (1280, 860)
# A phone whose letters are twice as large has half as many pixels.
ZOOMED = (180, 370)

FIND_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const beyond = (e) => e.getBoundingClientRect().right > width + 1 || e.getBoundingClientRect().left < -1;
  return [...document.querySelectorAll("body *")].filter(beyond).map((e) => e.outerHTML.slice(0, 120));
}"""

# A link in a row that it stretches over is as large as the row; one within a sentence is as large as its words; a box
# to tick is as large as its label.
FIND_SMALL_TARGETS = """() => {
  const isSmall = (e) => {
    const { width, height } = e.getBoundingClientRect();
    return width > 0 && (width < 43.5 || height < 43.5);
  };
  const targets = (document.querySelector("dialog[open]") ?? document).querySelectorAll(
    "a:not(p a, .grow, .skip), button, select, summary, " +
    "input:not([type=hidden], .check input, .chip input, .chip-choice input, .matrix input)");
  return [...targets].filter((e) => e.checkVisibility() && isSmall(e)).map((e) => e.outerHTML.slice(0, 120));
}"""

RUN_AXE = """async (rules) => (await axe.run(document, { ...rules, resultTypes: ["violations"] })).violations.flatMap(
  (rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.any[0]?.message ?? rule.help}`))"""
# The dark differs in its colours only.
RULES: dict[Scheme, dict[str, list[str]]] = {"light": {}, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}


def assert_axe_finds_nothing(page: "Page", *sizes: Size) -> None:
    """In the light and in the dark."""
    page.evaluate((ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text())
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        for scheme, rules in RULES.items():
            page.emulate_media(color_scheme=scheme)
            assert (width, scheme, page.evaluate(RUN_AXE, rules)) == (width, scheme, [])


def assert_nothing_overflows(page: "Page", *sizes: Size) -> None:
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        assert (width, page.evaluate(FIND_OVERFLOW)) == (width, [])


def assert_targets_are_large_enough(page: "Page") -> None:
    assert page.evaluate(FIND_SMALL_TARGETS) == []
