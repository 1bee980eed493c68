"""Tables as CSV: read however a spreadsheet saved them, written so that none takes a text for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")
DELIMITERS = ",;\t"


class NoTable(ValueError):
    """What is wrong with a file as a whole; the message says it."""


def read_csv(content: bytes, *, max_rows: int) -> tuple[list[str], list[dict[str, str]]]:
    """The columns, and the rows by column. Raises `NoTable`, with a message in English."""
    text = decode(content)
    if "\0" in text:
        raise NoTable("This is no table of text.")
    first = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [line for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise NoTable("This is no table of text.") from error
    if not lines:
        raise NoTable("The file is empty.")
    columns = [cell.strip().casefold() for cell in lines[0]]
    if len(lines) - 1 > max_rows:
        raise NoTable(f"At most {max_rows} rows at once.")
    if len(set(columns)) != len(columns):
        raise NoTable("Two columns have the same name.")
    return columns, [{name: _read(cell) for name, cell in zip(columns, line, strict=False)} for line in lines[1:]]


def decode(content: bytes) -> str:
    """Spreadsheets write UTF-8 with a mark, without, or what was usual before it."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return write_rows([columns, *rows])


def write_rows(rows: Iterable[Sequence[Any]]) -> str:
    """Part of a table, without a line that names the columns."""
    written = io.StringIO(newline="")
    csv.writer(written).writerows([_written(cell) for cell in row] for row in rows)
    return written.getvalue()


def _written(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(FORMULA) else text


def _read(cell: str) -> str:
    """As it was before `_written`."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
