"""The staff panel's own pages, beside the tables that SQLAdmin shows: all under /admin, one module a noun."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
