"""Products: what the household keeps, and what it knows about each."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

import auth
from db import session_scope
from models import FilePurpose, Product, StoredFile
from routes.deps import ActorDep, SessionDep
from routes.forms import Form, bind, bind_edit, bind_filters
from routes.idempotent import once
from routes.pages.sending import Along, along, send
from routes.rendering import Toast, back, done, is_htmx, redirect, render, undo_toast, wants_fragment
from routes.uploads import UploadingActorDep
from services import categories, files, locations, preferences, products, stock, units
from services.core.i18n import _
from services.core.numbers import plain
from services.core.pagination import PageRequest
from services.permissions import Actor, require
from services.schemas.products import (
    BarcodeCreate,
    ConversionCreate,
    ProductCreate,
    ProductFilters,
    ProductRead,
    ProductUpdate,
)
from services.schemas.stock import LotFilters, ProductConsume
from services.schemas.types import Code, UnitCode
from services.wording import amount

router = APIRouter(include_in_schema=False)

ALL_LOTS = PageRequest(limit=200)


@router.get("/products", name="products:list")
async def list_products(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    after: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    filters = bind_filters(request, ProductFilters)
    page = await products.list_products(session, actor, PageRequest(after=after, total=True), filters)
    query = {"q": filters.q or "", **({"archived": "true"} if filters.archived else {})}
    context = {
        "page": page,
        "q": filters.q or "",
        "archived": filters.archived,
        "more": f"/products?{urlencode({**query, 'after': page.next})}",
    }
    if wants_fragment(request):
        return render(request, "products/list.html", context, fragment="rows" if after else "found")
    return render(request, "products/list.html", context)


@router.get("/products/new", name="products:create")
async def create_form(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    return await _form_page(request, session, actor, None, Form())


@router.post("/products/new", name="products:create")
async def create(request: Request, sender: UploadingActorDep) -> Response:
    """Make a product, with its picture when one came along: both, or nothing."""
    async with along(request, sender, FilePurpose.PRODUCT, ProductCreate) as came:
        key = came.form.value("idempotency_key")
        async with session_scope() as session:
            actor = await auth.current_actor(request, session)
            response = await once(request, session, actor, key, lambda: _create(request, session, actor, came))
        came.is_placed = response.status_code < 400 and "Idempotent-Replayed" not in response.headers
    return response


async def _create(request: Request, session: AsyncSession, actor: Actor, came: Along[ProductCreate]) -> Response:
    form, picture = came.form, came.file
    await _read_category(session, actor, form)
    product = await form.attempt(session, lambda data: _make(session, actor, data, picture))
    if product is None:
        if picture:
            form.errors["file"] = _("Choose the picture again.")
        return await _form_page(request, session, actor, None, form, status_code=came.status_code)
    return redirect(request, f"/products/{product.id}", toast=Toast(_("{name} is made.").format(name=product.name)))


async def _make(session: AsyncSession, actor: Actor, data: ProductCreate, picture: StoredFile | None) -> Product:
    product = await products.create_product(session, actor, data)
    if picture:
        require(actor, "products:picture")
        await files.set_product_picture(session, actor, product.id, picture)
    return product


@router.get("/products/{product_id}", name="products:detail")
async def detail(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    context = await _for_detail(session, actor, product_id)
    return render(request, "products/detail.html", context, fragment="product")


@router.get("/products/{product_id}/edit", name="products:edit")
async def edit_form(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    product = await products.read_product(session, actor, product_id)
    return await _form_page(request, session, actor, product, Form())


@router.post("/products/{product_id}/edit", name="products:edit")
async def edit(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind_edit(request, ProductUpdate, required=frozenset({"name"}))
    await _read_category(session, actor, form)
    edited = await form.attempt(session, lambda data: products.edit_product(session, actor, product_id, data))
    if edited is None:
        product = await products.read_product(session, actor, product_id)
        return await _form_page(request, session, actor, product, form, status_code=422)
    return redirect(request, f"/products/{product_id}", toast=Toast(_("Saved.")))


@router.post("/products/{product_id}/archive", name="products:archive")
async def archive(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await products.archive_product(session, actor, product_id)
    toast = Toast(_("Archived."), action=f"/products/{product_id}/restore", label=_("Undo"))
    return redirect(request, "/products", toast=toast)


@router.post("/products/{product_id}/restore", name="products:restore")
async def restore(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await products.restore_product(session, actor, product_id)
    return redirect(request, f"/products/{product_id}", toast=Toast(_("Back in use.")))


@router.post("/products/{product_id}/consume", name="products:consume")
async def consume(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    """Take some, whichever is due first."""
    form = await bind(request, ProductConsume)
    key = form.value("idempotency_key")
    return await once(request, session, actor, key, lambda: _consume(request, session, actor, product_id, form))


async def _consume(
    request: Request, session: AsyncSession, actor: Actor, product_id: UUID, form: Form[ProductConsume]
) -> Response:
    consumed = await form.act(request, session, lambda data: stock.consume_product(session, actor, product_id, data))
    if consumed is None:
        status_code = 409 if "" in form.errors else 422
        return await _detail_again(request, session, actor, product_id, form, "consume_form", status_code=status_code)
    quantity, _group, booked = consumed
    product = booked[0].lot.product
    taken = amount(plain(quantity), product.unit, product.unit_name, product.unit_plural)
    said = _("Used {amount} of {name}.").format(amount=taken, name=product.name)
    toast = undo_toast(said, booked[0].event_id, whole_group=True)
    return done(request, toast, to=back(request, f"/products/{product_id}"))


@router.post("/products/{product_id}/barcodes", name="products:add_barcode")
async def add_barcode(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, BarcodeCreate)
    await form.attempt(session, lambda data: products.add_barcode(session, actor, product_id, data))
    if not form.is_valid:
        return await _detail_again(request, session, actor, product_id, form, "barcode_form")
    return done(request, Toast(_("Barcode noted.")), to=f"/products/{product_id}")


@router.post("/products/{product_id}/barcodes/{code:path}/remove", name="products:remove_barcode")
async def remove_barcode(
    request: Request, product_id: UUID, code: Code, session: SessionDep, actor: ActorDep
) -> Response:
    await products.remove_barcode(session, actor, product_id, code)
    return done(request, Toast(_("Barcode removed.")), to=f"/products/{product_id}")


@router.post("/products/{product_id}/conversions", name="products:add_conversion")
async def add_conversion(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, ConversionCreate)
    await form.attempt(session, lambda data: products.add_conversion(session, actor, product_id, data))
    if not form.is_valid:
        return await _detail_again(request, session, actor, product_id, form, "conversion_form")
    return done(request, Toast(_("Noted.")), to=f"/products/{product_id}")


@router.post("/products/{product_id}/conversions/{unit:path}/remove", name="products:remove_conversion")
async def remove_conversion(
    request: Request, product_id: UUID, unit: UnitCode, session: SessionDep, actor: ActorDep
) -> Response:
    await products.remove_conversion(session, actor, product_id, unit)
    return done(request, Toast(_("Removed.")), to=f"/products/{product_id}")


@router.post("/products/{product_id}/picture", name="products:picture")
async def set_picture(request: Request, product_id: UUID, actor: UploadingActorDep) -> Response:
    sent = await send(
        request,
        actor,
        FilePurpose.PRODUCT,
        lambda session, actor, file: files.set_product_picture(session, actor, product_id, file),
    )
    async with session_scope(read_only=True) as session:
        if sent.file is not None:
            return await _picture_changed(request, session, actor, product_id, _("That is how it looks."))
        if is_htmx(request):
            return await _picture_part(request, session, actor, product_id, sent.form, status_code=sent.status_code)
        return await _detail_again(
            request, session, actor, product_id, sent.form, "picture_form", status_code=sent.status_code
        )


@router.post("/products/{product_id}/picture/remove", name="products:remove_picture")
async def remove_picture(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await files.remove_product_picture(session, actor, product_id)
    return await _picture_changed(request, session, actor, product_id, _("Removed."))


async def _picture_changed(
    request: Request, session: AsyncSession, actor: Actor, product_id: UUID, said: str
) -> Response:
    answer = await _picture_part(request, session, actor, product_id, Form()) if is_htmx(request) else None
    return done(request, Toast(said), to=back(request, f"/products/{product_id}"), answer=answer)


async def _picture_part(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    product_id: UUID,
    form: Form[Any],
    *,
    status_code: int = 200,
) -> Response:
    context = {"product": await products.read_product(session, actor, product_id), "picture_form": form}
    return render(request, "products/picture.html", context, fragment="picture", status_code=status_code)


async def _for_detail(session: AsyncSession, actor: Actor, product_id: UUID) -> dict[str, Any]:
    product = await products.read_product(session, actor, product_id)
    page = await stock.list_lots(session, actor, ALL_LOTS, LotFilters(product=product_id))
    place = next((p for p in await locations.read_tree(session, actor) if p.id == product.default_location_id), None)
    return {
        "product": product,
        "rows": [stock.Row(lot, lot.quantity) for lot in page.items],
        "place": place.path if place else "",
        "is_muted": await preferences.is_muted(session, actor, product_id),
        "units": await units.list_choices(session, actor),
        "consume_form": Form(),
        "barcode_form": Form(),
        "picture_form": Form(),
        "conversion_form": Form(),
    }


async def _detail_again(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    product_id: UUID,
    form: Form[Any],
    name: str,
    *,
    status_code: int = 422,
) -> Response:
    """The page of a product again, with what was wrong in one of its small forms."""
    context = {**await _for_detail(session, actor, product_id), name: form}
    return render(request, "products/detail.html", context, fragment="product", status_code=status_code)


async def _form_page(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    product: ProductRead | None,
    form: Form[Any],
    *,
    status_code: int = 200,
) -> Response:
    context = {
        "product": product,
        "form": form,
        "picture_form": Form(),
        "foods": await categories.list_names(session, actor),
        "places": [(place.id, place.path) for place in await locations.read_tree(session, actor)],
        "units": await units.list_choices(session, actor),
    }
    return render(request, "products/form.html", context, status_code=status_code)


async def _read_category(session: AsyncSession, actor: Actor, form: Form[Any]) -> None:
    """The form names the category; an id is not something people type."""
    name = form.value("category").strip()
    if form.parsed is None or "category" not in form.values:
        return
    category_id = await categories.find_id(session, actor, name) if name else None
    if name and category_id is None:
        form.errors["category"] = _("There is no such category.")
    elif name or "product" in form.values:
        form.parsed = form.parsed.model_copy(update={"category_id": category_id})
        form.parsed.model_fields_set.add("category_id")
