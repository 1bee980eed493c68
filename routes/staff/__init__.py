"""The staff panel's own pages, beside the tables that SQLAdmin shows: all under /admin, one module a noun."""

from routes.staff import acting, audit, guard, monitor, pictures, roles, system

ROUTERS = (acting.router, audit.router, roles.router, system.router, guard.router, monitor.router, pictures.router)
