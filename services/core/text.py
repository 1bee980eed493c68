"""Text as people type it: cleaned for keeping, folded for comparing."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

# Marks that turn the reading direction around and make one name look like another.
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


# Letters, symbols and marks that show as nothing: fillers, joiners, and what only chooses how another one looks.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | frozenset(
    map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)


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
    return all(character in _INVISIBLE or unicodedata.category(character)[0] in "ZC" for character in text)


def clean(text: str) -> str:
    """NFC, one kind of line end, no space around."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def fold(text: str) -> str:
    """The same for every spelling that people take for the same: `Müsli`, ` MÜSLI`, `müsli`."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


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
