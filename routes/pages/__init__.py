"""HTML pages, one module a noun."""

from routes.pages import accounts, add, history, households, links, notifications, products, stock

# In the order requests are matched: /stock/add before /stock/lots, what is asked most first.
ROUTERS = (
    stock.router,
    add.router,
    history.router,
    products.router,
    households.router,
    accounts.router,
    notifications.router,
    links.router,
)
