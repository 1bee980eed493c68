"""Products: /households/{h}/products."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from routes.api.answers import json
from routes.api.routers import household_router
from routes.deps import ActorDep, PageDep, SessionDep
from routes.idempotent import Claimed, IdempotentRoute
from services import events, products, stock
from services.core.numbers import plain
from services.core.pagination import Page
from services.schemas.products import (
    BarcodeCreate,
    ConversionCreate,
    ProductBulkCreate,
    ProductBulkResult,
    ProductCreate,
    ProductFilters,
    ProductRead,
    ProductSummary,
    ProductUpdate,
)
from services.schemas.stock import Consumed, ProductConsume
from services.schemas.types import Code, PageOf, UnitCode

router = household_router("products", route_class=IdempotentRoute, dependencies=[Claimed])


@router.get("/products", response_model=PageOf[ProductSummary], name="products:list")
async def list_products(
    session: SessionDep, actor: ActorDep, page: PageDep, filters: Annotated[ProductFilters, Query()]
) -> Page[ProductSummary]:
    """Products by name, with what is in stock of each."""
    return await products.list_products(session, actor, page, filters)


@router.post("/products", response_model=ProductRead, status_code=201, name="products:create")
async def create(body: ProductCreate, session: SessionDep, actor: ActorDep) -> ProductRead:
    """Make a product. Only its name is needed."""
    product = await products.create_product(session, actor, body)
    return await products.read_product(session, actor, product.id)


@router.post("/products/bulk", response_model=ProductBulkResult, name="products:create_bulk")
async def create_bulk(
    body: ProductBulkCreate,
    session: SessionDep,
    actor: ActorDep,
    atomic: Annotated[bool, Query(description="All or nothing.")] = False,
) -> ProductBulkResult:
    """Make many products. Items that are wrong are left out and named."""
    return await products.create_bulk(session, actor, body.items, atomic=atomic)


@router.get("/products/{product_id}", response_model=ProductRead, name="products:detail")
async def get_product(product_id: UUID, session: SessionDep, actor: ActorDep) -> ProductRead:
    """One product with all that is known about it."""
    return await products.read_product(session, actor, product_id)


@router.patch("/products/{product_id}", response_model=ProductRead, name="products:edit")
async def edit(product_id: UUID, body: ProductUpdate, session: SessionDep, actor: ActorDep) -> ProductRead:
    """Change a product."""
    await products.edit_product(session, actor, product_id, body)
    return await products.read_product(session, actor, product_id)


@router.delete("/products/{product_id}", status_code=204, name="products:archive")
async def archive(product_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Put a product out of use; its history stays. Refused while some is in stock."""
    await products.archive_product(session, actor, product_id)


@router.post("/products/{product_id}/restore", response_model=ProductRead, name="products:restore")
async def restore(product_id: UUID, session: SessionDep, actor: ActorDep) -> ProductRead:
    """Put an archived product back into use."""
    await products.restore_product(session, actor, product_id)
    return await products.read_product(session, actor, product_id)


@router.post(
    "/products/{product_id}/barcodes", response_model=ProductRead, status_code=201, name="products:add_barcode"
)
async def add_barcode(product_id: UUID, body: BarcodeCreate, session: SessionDep, actor: ActorDep) -> ProductRead:
    """Put a barcode on a product. A GTIN must have a right check digit; other codes are taken as they are."""
    await products.add_barcode(session, actor, product_id, body)
    return await products.read_product(session, actor, product_id)


@router.delete("/products/{product_id}/barcodes/{code:path}", status_code=204, name="products:remove_barcode")
async def remove_barcode(product_id: UUID, code: Code, session: SessionDep, actor: ActorDep) -> None:
    """Take a barcode off a product."""
    await products.remove_barcode(session, actor, product_id, code)


@router.post(
    "/products/{product_id}/conversions", response_model=ProductRead, status_code=201, name="products:add_conversion"
)
async def add_conversion(product_id: UUID, body: ConversionCreate, session: SessionDep, actor: ActorDep) -> ProductRead:
    """Say how much of the product's unit one of another unit is, such as a cup of flour 120 g."""
    await products.add_conversion(session, actor, product_id, body)
    return await products.read_product(session, actor, product_id)


@router.delete("/products/{product_id}/conversions/{unit:path}", status_code=204, name="products:remove_conversion")
async def remove_conversion(product_id: UUID, unit: UnitCode, session: SessionDep, actor: ActorDep) -> None:
    """Forget a conversion."""
    await products.remove_conversion(session, actor, product_id, unit)


@router.post("/products/{product_id}/consume", response_model=Consumed, name="products:consume")
async def consume(product_id: UUID, body: ProductConsume, session: SessionDep, actor: ActorDep) -> Response:
    """Take from a product's lots: opened ones first, then what expires first, then what was bought first."""
    quantity, group_id, booked = await stock.consume_product(session, actor, product_id, body)
    journal = await events.list_group(session, actor, group_id)
    return json(
        {
            "quantity": plain(quantity),
            "group_id": group_id,
            "events": [event.model_dump(mode="json") for event in journal],
            "lots": [each.lot for each in booked],
        }
    )
