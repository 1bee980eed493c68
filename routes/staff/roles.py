"""Staff roles: what each grants, how far it reaches, and who has it."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from models import DataScope, GrantKind, StaffRole
from routes.deps import SessionDep, StaffDep
from routes.forms import Form, bind, read_many
from routes.rendering import Toast, redirect, render
from services import accounts, menus, staff_roles
from services.core.i18n import _
from services.endpoints import Permission
from services.schemas.staff_roles import StaffRoleCreate, StaffRoleForm
from services.staff import Staff

router = APIRouter(include_in_schema=False)


@router.get("/admin/roles", name="roles:list")
async def show_all(request: Request, session: SessionDep, staff: StaffDep) -> Response:
    """All staff roles."""
    return render(request, "panel/roles.html", {"roles": await staff_roles.list_roles(session)})


@router.get("/admin/roles/new", name="roles:create")
async def ask_new(request: Request, staff: StaffDep) -> Response:
    """Make a staff role."""
    return render(request, "panel/role_new.html", {"form": Form(), "scopes": _scopes()})


@router.post("/admin/roles/new", name="roles:create")
async def create(request: Request, session: SessionDep, staff: StaffDep) -> Response:
    form = await bind(request, StaffRoleCreate)
    role = await form.attempt(session, lambda data: staff_roles.create(session, staff, data))
    if role is None:
        return render(request, "panel/role_new.html", {"form": form, "scopes": _scopes()}, status_code=422)
    return redirect(request, f"/admin/roles/{role.id}", toast=Toast(_("Made. Now choose what it grants.")))


@router.get("/admin/roles/of/{user_id}", name="roles:holder")
async def show_holder(request: Request, user_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Which roles somebody has, and which households are assigned to them."""
    return await _holder(request, session, staff, user_id)


@router.post("/admin/roles/of/{user_id}", name="roles:assign")
async def assign(request: Request, user_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Give somebody roles, and take them away."""
    chosen = (await read_many(request)).get("role", [])
    await staff_roles.set_roles(session, staff, user_id, chosen)
    return redirect(request, f"/admin/roles/of/{user_id}", toast=Toast(_("Saved.")))


@router.post("/admin/roles/of/{user_id}/households", name="roles:assign_household")
async def assign_households(request: Request, user_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Assign households to somebody, and take them away."""
    sent = await read_many(request)
    await staff_roles.set_households(session, staff, user_id, add=sent.get("add", []), keep=sent.get("keep", []))
    return redirect(request, f"/admin/roles/of/{user_id}", toast=Toast(_("Saved.")))


@router.get("/admin/roles/{role_id}", name="roles:matrix")
async def show(request: Request, role_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """A staff role, and all it could grant."""
    role = await staff_roles.get_role(session, role_id)
    return await _matrix(request, session, staff, role, Form())


@router.post("/admin/roles/{role_id}", name="roles:edit")
async def edit(request: Request, role_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Change a role's name, its reach, and whether it counts."""
    form = await bind(request, StaffRoleForm)
    if await form.attempt(session, lambda data: staff_roles.edit(session, staff, role_id, data)) is None:
        role = await staff_roles.get_role(session, role_id)
        return await _matrix(request, session, staff, role, form, status_code=422)
    return redirect(request, f"/admin/roles/{role_id}", toast=Toast(_("Saved.")))


@router.post("/admin/roles/{role_id}/grants", name="roles:grant")
async def grant(request: Request, role_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Choose what a role grants: all of it at once."""
    chosen = await read_many(request)
    known = request.app.state.registry.permissions
    for kind in GrantKind:
        await staff_roles.set_grants(session, staff, role_id, kind, chosen.get(kind, []), known=known)
    return redirect(request, f"/admin/roles/{role_id}", toast=Toast(_("Saved.")))


@router.post("/admin/roles/{role_id}/logout", name="roles:logout")
async def logout(request: Request, role_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Sign out everybody who has a role."""
    count = await accounts.force_logout_role(session, role_id, by=staff)
    return redirect(request, f"/admin/roles/{role_id}", toast=Toast(_("{count} signed out.").format(count=count)))


@router.post("/admin/roles/{role_id}/delete", name="roles:delete")
async def delete(request: Request, role_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Delete a role: whoever has it loses what it grants."""
    await staff_roles.remove(session, staff, role_id)
    return redirect(request, "/admin/roles", toast=Toast(_("Deleted.")))


async def _matrix(
    request: Request, session: AsyncSession, staff: Staff, role: StaffRole, form: Form[Any], *, status_code: int = 200
) -> Response:
    granted = await staff_roles.grants_of(session, role.id)
    known = request.app.state.registry.permissions
    context = {
        "role": role,
        "form": form,
        "scopes": _scopes(),
        "granted": granted,
        "holders": await staff_roles.holders_of(session, role.id),
        "areas": _by_area(known.values()),
        "unknown": sorted(granted[GrantKind.PERMISSION] - known.keys()),
        "items": await menus.list_items(session),
        "may_give": lambda kind, name: staff_roles.holds(staff, role, GrantKind(kind), name),
        "may_change": all(
            staff_roles.holds(staff, role, kind, name) for kind, names in granted.items() for name in names
        ),
    }
    return render(request, "panel/role.html", context, status_code=status_code)


async def _holder(request: Request, session: AsyncSession, staff: Staff, user_id: UUID) -> Response:
    query = request.query_params.get("q", "")[:100]
    context = {
        "user": await staff_roles.get_holder(session, staff, user_id),
        "roles": await staff_roles.list_roles(session),
        "own": {role.id for role in await staff_roles.roles_of(session, user_id)},
        "households": await staff_roles.households_of(session, user_id),
        "found": await staff_roles.find_households(session, staff, user_id, query) if query else [],
        "query": query,
    }
    return render(request, "panel/holder.html", context)


def _by_area(permissions: Any) -> dict[str, list[Permission]]:
    areas: dict[str, list[Permission]] = {}
    for permission in permissions:
        areas.setdefault(permission.area, []).append(permission)
    return areas


def _scopes() -> list[tuple[str, str]]:
    return [
        (DataScope.ALL, _("Everything")),
        (DataScope.HOUSEHOLDS, _("The households assigned to somebody")),
        (DataScope.CUSTOM, _("The households that a filter finds")),
        (DataScope.SELF, _("Only what is their own")),
    ]
