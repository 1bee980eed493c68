"""Pages as a browser without JavaScript reads them: links, forms, fields, and what stands beside a field."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
# Their end tags may be left out.
OPTIONAL_END = frozenset({"option", "p", "li"})


@dataclass(eq=False)
class Element:
    tag: str
    attrs: dict[str, str]
    parent: "Element | None" = None
    children: list["Element | str"] = field(default_factory=list)

    def __iter__(self) -> Iterator["Element"]:
        """Itself and all within it, in order."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    def all(self, *tags: str, **attrs: str) -> list["Element"]:
        return [
            element
            for element in self
            if element.tag in tags and all(element.attrs.get(name) == value for name, value in attrs.items())
        ]

    def one(self, tag: str, **attrs: str) -> "Element":
        (found,) = self.all(tag, **attrs)
        return found

    def within(self, *tags: str) -> bool:
        return self.parent is not None and (self.parent.tag in tags or self.parent.within(*tags))

    @property
    def text(self) -> str:
        parts = (child.text if isinstance(child, Element) else child for child in self.children)
        return " ".join(" ".join(parts).split())

    # Of a form

    @property
    def values(self) -> dict[str, str]:
        """What is sent when the form is submitted as it stands, without a button's own value."""
        sent = {}
        for one in self.all("input", "select", "textarea"):
            if one.attrs.get("type") == "radio" and "checked" not in one.attrs:
                continue
            if name := one.attrs.get("name"):
                sent[name] = one.value
        return sent

    @property
    def value(self) -> str:
        """Of a field."""
        if self.tag == "textarea":
            return "".join(child for child in self.children if isinstance(child, str))
        if self.tag == "select":
            options = self.all("option")
            chosen = [option for option in options if "selected" in option.attrs] or options[:1]
            return chosen[0].attrs.get("value", "") if chosen else ""
        return self.attrs.get("value", "")

    @property
    def errors(self) -> dict[str, str]:
        """The message beside each field that is marked as wrong; `""` for what is said above the form."""
        said = {
            one.attrs["name"]: next(
                p.text for p in self.all("p") if p.attrs.get("class") == "error" and _beside(p, one)
            )
            for one in self.all("input", "select", "textarea")
            if one.attrs.get("aria-invalid") == "true"
        }
        for notice in self.all("div", role="alert"):
            said[""] = notice.text
        return said


def _beside(message: Element, field: Element) -> bool:
    return message.attrs.get("id") in field.attrs.get("aria-describedby", "").split()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("#document", {})
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _value in attrs]
        if len(names) != len(set(names)):
            self.problems.append(f"<{tag}> at {self.getpos()} says an attribute twice: {names}")
        if tag in OPTIONAL_END and self.at.tag == tag and tag != "li":
            self.at = self.at.parent or self.root
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.at = self.at.parent or self.root

    def handle_endtag(self, tag: str) -> None:
        at = self.at
        while at.tag in OPTIONAL_END and at.tag != tag and at.parent:
            at = at.parent
        if at.tag != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} ends <{self.at.tag}>")
            return
        self.at = at.parent or self.root

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def read(text: str) -> Element:
    return _read(text).root


def problems(text: str) -> list[str]:
    """What is wrong with a page: tags that do not match, ids that are not unique, names that lead nowhere."""
    reader = _read(text)
    found = list(reader.problems)
    if reader.at is not reader.root:
        found.append(f"<{reader.at.tag}> is never ended")
    ids = [element.attrs["id"] for element in reader.root if "id" in element.attrs]
    found += [f"id {one} is there {ids.count(one)} times" for one in set(ids) if ids.count(one) > 1]
    for element in reader.root:
        for name in ("for", "aria-describedby", "aria-controls", "aria-labelledby", "list"):
            for target in element.attrs.get(name, "").split():
                if target not in ids:
                    found.append(f"{name}={target} of <{element.tag}> leads nowhere")
        if element.tag in {"input", "select", "textarea"} and element.attrs.get("type") != "hidden":
            labelled = "aria-label" in element.attrs or "hidden" in element.attrs or element.within("label")
            if not labelled and not reader.root.all("label", **{"for": element.attrs.get("id", "#")}):
                found.append(f"the field {element.attrs.get('name')} has no label")
        is_named = (
            element.text or "aria-label" in element.attrs or any(each.attrs.get("alt") for each in element.all("img"))
        )
        if element.tag in {"a", "button", "summary"} and not is_named:
            found.append(f"a <{element.tag}> has no name: {element.attrs}")
        if element.tag in {"form", "a", "button"} and element.within(element.tag):
            found.append(f"a <{element.tag}> stands within another: {element.attrs}")
    return found


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader
