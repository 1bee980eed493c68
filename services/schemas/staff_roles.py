"""Staff roles."""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from models import DataScope
from services.schemas.types import Line, Name, Schema


def _slug(value: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", value):
        raise PydanticCustomError("role_code", "Small letters, digits and _, beginning with a letter.")
    return value


def _read_json(value: Any) -> Any:
    """In a form it is text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else {}
    except ValueError as error:
        raise PydanticCustomError("json", "This is not JSON.") from error


RoleCode = Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(_slug)]
Description = Annotated[Line, StringConstraints(max_length=500)]
Filter = Annotated[dict[str, Any], BeforeValidator(_read_json)]


class StaffRoleCreate(Schema):
    code: RoleCode
    name: Name
    description: Description = ""
    data_scope: DataScope = DataScope.SELF
    filter: Filter = Field(default_factory=dict)


class StaffRoleUpdate(Schema):
    name: Name | None = None
    description: Description | None = None
    data_scope: DataScope | None = None
    filter: Filter | None = None
    is_enabled: bool | None = None


class StaffRoleForm(StaffRoleUpdate):
    """All of it at once: what is left empty is emptied."""

    name: Name
    description: Description = ""
    data_scope: DataScope
    filter: Filter = Field(default_factory=dict)
    is_enabled: bool = False


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role in a list: with how many have it, and how much it grants."""

    id: UUID
    code: str
    name: str
    description: str
    data_scope: DataScope
    is_enabled: bool
    holders: int
    grants: int
