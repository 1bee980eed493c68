"""The audit log, as it is read."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.schemas.types import Day, Line, Read, Schema


class AuditFilters(Schema):
    """People by name, e-mail or id; subjects by name, kind or id; households by name or id. Days are whole ones."""

    who: Line = ""
    on_behalf_of: Line = Field(default="", alias="for")
    action: Line = ""
    subject: Line = ""
    household: Line = ""
    since: Day | None = Field(default=None, alias="from")
    until: Day | None = Field(default=None, alias="to")
    address: Line = ""
    request: Line = ""


class AuditPerson(Read):
    id: UUID
    name: str = Field(description="At that moment.")


class AuditSubject(Read):
    type: str = Field(description="The kind of thing: a table's name.", examples=["product"])
    id: str
    name: str


class AuditChange(Read):
    field: str
    before: Any = None
    after: Any = None


class ActRead(Read):
    """One thing that was done, as its household sees it."""

    id: UUID
    at: datetime
    action: str = Field(examples=["products:edit"])
    actor: AuditPerson | None = Field(description="Null for what no person did.")
    on_behalf_of: AuditPerson | None = Field(description="The member in whose name staff acted.")
    subject: AuditSubject | None
    changes: list[AuditChange] = Field(description="What is not shown is not kept: passwords and other secrets.")


class AuditRead(ActRead):
    """The same, as staff sees it."""

    program: str
    household: AuditSubject | None
    source: str
    ip_address: str
    request_id: str
