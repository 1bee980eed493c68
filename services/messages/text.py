"""The text of messages: plain, with what is a link and what is a name in it."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from linkify_it import LinkifyIt

from services.core.text import find_folded
from services.schemas.names import Person
from services.schemas.talk import MessageRead

# Nothing else than these is ever a link.
SCHEMES = ("http://", "https://", "mailto:")

_links = LinkifyIt().add("ftp:", None).add("//", None)
_word = re.compile(r"\w")


class Text(NamedTuple):
    text: str
    kind: str = "text"


class Link(NamedTuple):
    text: str
    url: str
    kind: str = "link"


class Named(NamedTuple):
    """`@Name`, of one person, or of all who are called that."""

    text: str
    people: tuple[Person, ...]
    kind: str = "mention"


class Found(NamedTuple):
    """What somebody searched for."""

    text: str
    kind: str = "found"


Part = Text | Link | Named | Found
# How much of a message stands before what was found in it.
BEFORE = 60


def parts(message: MessageRead) -> list[Part]:
    """What a template shows, in order; lines end with `\\n`. What the system says has no links."""
    if message.event is not None:
        return [Text(message.content)]
    return split(message.content, message.mentions)


def split(content: str, people: Sequence[Person]) -> list[Part]:
    """Text, links, and names of these people."""
    found: list[Part] = []
    end = 0
    for link in _links.match(content) or ():
        if link.url.lower().startswith(SCHEMES):
            found += _with_names(content[end : link.index], people)
            found.append(Link(content[link.index : link.last_index], link.url))
            end = link.last_index
    return [*found, *_with_names(content[end:], people)]


def with_found(content: str, q: str) -> list[Part]:
    """A message with what was searched for in it; its beginning is left out where that is far away."""
    places = find_folded(content, q)
    end = _beginning(content, places[0][0]) if places else 0
    found: list[Part] = [Text("… ")] if end else []
    for start, until in places:
        if start > end:
            found.append(Text(content[end:start]))
        found.append(Found(content[start:until]))
        end = until
    return [*found, Text(content[end:])] if end < len(content) else found


def _beginning(content: str, at: int) -> int:
    """Where the word begins that stands a little before."""
    if at <= 2 * BEFORE:
        return 0
    word = re.search(r"\s\S", content[at - BEFORE : at])
    return at - BEFORE + word.start() + 1 if word else at


def find_named(content: str, people: Sequence[Person]) -> list[Person]:
    """Those of these people whom a text mentions, each once."""
    named = {person.id: person for part in split(content, people) if isinstance(part, Named) for person in part.people}
    return list(named.values())


def _with_names(text: str, people: Sequence[Person]) -> Iterator[Part]:
    end = 0
    for start, until, named in _names_in(text, people):
        if start > end:
            yield Text(text[end:start])
        yield Named(text[start:until], named)
        end = until
    if end < len(text):
        yield Text(text[end:])


def _names_in(text: str, people: Sequence[Person]) -> Iterator[tuple[int, int, tuple[Person, ...]]]:
    """Where a name begins and ends. Of two that fit, the longer one is meant: `@Ann Lee`, not `@Ann`."""
    if "@" not in text or not people:
        return
    names = _by_initial(people)
    # Folding makes some letters two, so each says where it came from.
    folded = [(letter, place) for place, character in enumerate(text) for letter in character.casefold()]
    plain = "".join(letter for letter, _place in folded)
    end = 0
    for at in _at_signs(plain):
        if at < end:
            continue
        for name, named in names.get(plain[at + 1 : at + 2], ()):
            stop = at + 1 + len(name)
            if plain.startswith(name, at + 1) and not _word.match(plain, stop) and not _splits(folded, stop):
                end = stop
                yield folded[at][1], folded[stop - 1][1] + 1, named
                break


def _at_signs(plain: str) -> Iterator[int]:
    """Those that begin a word: no e-mail address mentions anybody."""
    return (match.start() for match in re.finditer(r"(?<!\w)@", plain))


def _splits(folded: Sequence[tuple[str, int]], stop: int) -> bool:
    return stop < len(folded) and folded[stop][1] == folded[stop - 1][1]


def _by_initial(people: Sequence[Person]) -> dict[str, list[tuple[str, tuple[Person, ...]]]]:
    """Folded names with those who are called so, the longest first."""
    called: dict[str, list[Person]] = {}
    for person in people:
        called.setdefault(person.name.casefold(), []).append(person)
    names: dict[str, list[tuple[str, tuple[Person, ...]]]] = {}
    for name in sorted(called, key=len, reverse=True):
        names.setdefault(name[:1], []).append((name, tuple(called[name])))
    return names
