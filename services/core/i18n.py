"""Translation: gettext catalogues in `locale/`, the language of the moment in a context variable."""

import gettext as gnu
from contextvars import ContextVar
from functools import lru_cache

from babel import Locale, UnknownLocaleError

from settings import ROOT

DOMAIN = "larder"
LOCALE_DIR = ROOT / "locale"
DEFAULT_LOCALE = "en"

_locale: ContextVar[str] = ContextVar("locale", default=DEFAULT_LOCALE)


@lru_cache(maxsize=64)
def parse_locale(tag: str) -> Locale:
    """The CLDR locale of a BCP 47 tag such as `de-AT`; English when there is none."""
    try:
        return Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale.parse(DEFAULT_LOCALE)


def is_locale(tag: str) -> bool:
    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return False
    return True


@lru_cache(maxsize=64)
def _catalogue(tag: str) -> gnu.NullTranslations:
    locale = parse_locale(tag)
    return gnu.translation(DOMAIN, LOCALE_DIR, [str(locale), locale.language], fallback=True)


def use_locale(tag: str) -> None:
    """Speak this language for the rest of the current task."""
    _locale.set(tag)


def current_locale() -> str:
    return _locale.get()


def gettext(message: str) -> str:
    # Of no text, a catalogue tells about itself.
    return _catalogue(_locale.get()).gettext(message) if message else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    return _catalogue(_locale.get()).ngettext(singular, plural, n)


def mark(message: str) -> str:
    """Mark a module-level message for extraction; translate it with `_()` where it is shown."""
    return message


_ = gettext
