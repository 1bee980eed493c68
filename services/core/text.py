"""Text as people type it: cleaned for keeping, folded for comparing."""

import re
import unicodedata
from collections.abc import Iterator

from email_validator import EmailNotValidError, validate_email

# Marks that turn the reading direction around and make one name look like another.
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Unicode's Default_Ignorable_Code_Point: fillers, joiners, and what only chooses how another one looks.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BRAILLE_BLANK = "\u2800"


def has_forbidden_characters(text: str, *, multiline: bool = False) -> bool:
    """Control characters, lone surrogates, unassigned code points and direction overrides."""
    allowed = "\n\t" if multiline else ""
    return any(
        character in _DIRECTION_OVERRIDES
        or (unicodedata.category(character) in {"Cc", "Cs", "Cn"} and character not in allowed)
        for character in text
    )


def is_blank(text: str) -> bool:
    """Whether nothing of it can be seen: only spaces, fillers, and marks such as the zero-width ones."""
    return all(
        character == _BRAILLE_BLANK or unicodedata.category(character)[0] in "ZC"
        for character in _IGNORABLE.sub("", text)
    )


def clean(text: str) -> str:
    """NFC, one kind of line end, no space around."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def fold(text: str) -> str:
    """The same for every spelling that people take for the same: `Müsli`, ` MÜSLI`, `müsli`, with or without what
    cannot be seen. Unicode's NFKC_Casefold, and one space for many."""
    return " ".join(_IGNORABLE.sub("", unicodedata.normalize("NFKC", text)).casefold().split())


def find_folded(text: str, q: str) -> list[tuple[int, int]]:
    """Where a text has what is the same as `q` by `fold`: from where until where, none in another."""
    wanted = fold(q)
    if not wanted:
        return []
    plain: list[str] = []
    places: list[tuple[int, int]] = []
    for start, until in _clusters(text):
        folded = _IGNORABLE.sub("", unicodedata.normalize("NFKC", text[start:until])).casefold()
        if folded.isspace():
            folded = " " if plain and plain[-1] != " " else ""
        plain += folded
        places += [(start, until)] * len(folded)
    found: list[tuple[int, int]] = []
    for match in re.finditer(re.escape(wanted), "".join(plain)):
        start, until = places[match.start()][0], places[match.end() - 1][1]
        if not found or start >= found[-1][1]:
            found.append((start, until))
    return found


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Letters with the marks that stand on them, which only together are one for `fold`."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not unicodedata.combining(text[at]):
            yield start, at
            start = at


def normal_email(text: str) -> str:
    """The one spelling of an e-mail address: in lower case, all of it ASCII, as mail servers have it.

    So a domain is in punycode, and nothing can look like another address and not be it. Raises `ValueError`.
    """
    typed = unicodedata.normalize("NFKC", text).strip()
    found = validate_email(typed, check_deliverability=False, allow_smtputf8=False)
    return f"{found.local_part}@{found.ascii_domain}".lower()


def fold_email(text: str) -> str:
    """For looking one up: what is no address is something that nobody has."""
    try:
        return normal_email(text)
    except EmailNotValidError:
        return text.strip().lower()
