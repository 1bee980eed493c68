"""Data scopes: which rows one of the staff reaches with a permission.

A reach is a set of households, as a condition in SQL; what belongs to a household or to a user is reached through
them. A reach that is not bound to anything reaches nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import class_mapper
from sqlmodel import SQLModel, col

from models import AuditEntry, DataScope, Household, Membership, StaffHousehold, User
from services.core.errors import InvalidInput
from services.core.i18n import _

FIELDS = ("id", "name", "locale", "currency", "time_zone")

Condition = sa.ColumnElement[bool]

_OPERATORS: Mapping[str, Callable[[Any, Any], Condition]] = {
    "is": lambda column, value: column == value,
    "is_not": lambda column, value: column != value,
    "in": lambda column, value: column.in_(value),
    "starts_with": lambda column, value: column.startswith(value, autoescape=True),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """`households`: which of them, as a condition on `Household`; None for all, and for everything else there is.

    `scopes` say the same in words: two reaches with the same are the same.
    """

    user_id: UUID
    households: Condition | None = field(compare=False)
    scopes: frozenset[str] = frozenset()

    @property
    def is_all(self) -> bool:
        return self.households is None

    def rows(self, model: type[SQLModel]) -> Condition:
        """The condition on a table's rows. What belongs to nobody, such as a shared unit, is reached by all or none."""
        if self.households is None:
            return sa.true()
        if model is Household:
            return self.households
        if model is User:
            return self._users(col(User.id))
        columns = class_mapper(model).columns
        if "household_id" in columns:
            mine = col(columns["household_id"]).in_(self._household_ids())
            return sa.or_(mine, columns["actor_id"] == self.user_id) if model is AuditEntry else mine
        if "user_id" in columns:
            return self._users(col(columns["user_id"]))
        return sa.true()

    def _household_ids(self) -> sa.Select[tuple[UUID]]:
        assert self.households is not None
        return sa.select(col(Household.id)).where(self.households)

    def _users(self, column: Any) -> Condition:
        members = sa.select(col(Membership.user_id)).where(col(Membership.household_id).in_(self._household_ids()))
        return sa.or_(column == self.user_id, column.in_(members))


def everything(user_id: UUID) -> Reach:
    return Reach(user_id, None, frozenset({DataScope.ALL}))


def nothing(user_id: UUID) -> Reach:
    return Reach(user_id, sa.false())


def combine(user_id: UUID, scopes: Iterable[tuple[DataScope, Mapping[str, Any]]]) -> Reach:
    """The reach of several roles together: each adds to it, so the most permissive wins."""
    conditions: dict[str, Condition] = {}
    for scope, chosen in scopes:
        if scope is DataScope.ALL:
            return everything(user_id)
        conditions[_in_words(scope, chosen)] = _condition(user_id, scope, chosen)
    return Reach(user_id, sa.or_(sa.false(), *conditions.values()), frozenset(conditions))


def covers(reach: Reach, scope: DataScope, chosen: Mapping[str, Any]) -> bool:
    """Whether one reaches all that somebody else would with this scope."""
    return reach.is_all or _in_words(scope, chosen) in reach.scopes


def parse_filter(chosen: Mapping[str, Any]) -> Condition:
    """A custom scope: `{"all": [{"field": "locale", "is": "de-AT"}, ...]}`, or `any` for one of them.

    Fields are those of a household (`FIELDS`), operators `is`, `is_not`, `in` and `starts_with`. Raises
    `InvalidInput`.
    """
    for join, word in ((sa.and_, "all"), (sa.or_, "any")):
        if set(chosen) == {word} and isinstance(chosen[word], list) and chosen[word]:
            return join(*(_rule(rule) for rule in chosen[word]))
    raise InvalidInput({"filter": _("Give a list of rules under “all” or “any”.")})


def _in_words(scope: DataScope, chosen: Mapping[str, Any]) -> str:
    return f"{scope} {chosen}"


def _rule(rule: Any) -> Condition:
    if not isinstance(rule, dict) or len(rule) != 2 or rule.get("field") not in FIELDS:
        raise InvalidInput({"filter": _("A rule has a field, one of {fields}.").format(fields=", ".join(FIELDS))})
    ((name, value),) = ((name, value) for name, value in rule.items() if name != "field")
    if name not in _OPERATORS:
        known = ", ".join(_OPERATORS)
        raise InvalidInput({"filter": _("A rule has one operator, one of {known}.").format(known=known)})
    values: Sequence[Any] = value if name == "in" and isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values) or (name == "in") != isinstance(value, list):
        raise InvalidInput({"filter": _("What a rule compares with is text, or a list of texts for “in”.")})
    if rule["field"] == "id":
        values = [_id(each) for each in values]
    return _OPERATORS[name](getattr(Household, rule["field"]), list(values) if name == "in" else values[0])


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput({"filter": _("This is not an id.")}) from error


def _condition(user_id: UUID, scope: DataScope, chosen: Mapping[str, Any]) -> Condition:
    if scope is DataScope.CUSTOM:
        try:
            return parse_filter(chosen)
        except InvalidInput:
            return sa.false()
    table = StaffHousehold if scope is DataScope.HOUSEHOLDS else Membership
    return col(Household.id).in_(sa.select(col(table.household_id)).where(col(table.user_id) == user_id))
