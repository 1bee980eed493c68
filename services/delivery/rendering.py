"""Mail templates, in the language of the moment."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services import wording
from services.core import i18n
from settings import ROOT


def render(template: str, values: Mapping[str, Any]) -> str:
    locale = i18n.parse_locale(i18n.current_locale())
    common = {"lang": i18n.current_locale(), "direction": locale.text_direction}
    return _environment().get_template(template).render({**common, **values})


@lru_cache(maxsize=1)
def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(ROOT / "templates" / "email"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.globals.update(long_day=wording.long_day)
    return env
