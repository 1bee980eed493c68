"""HTML pages, one module a noun."""

from routes.pages import (
    account_deletion,
    accounts,
    acting,
    add,
    api_keys,
    audit,
    chats,
    devices,
    history,
    households,
    links,
    messages,
    notifications,
    products,
    recovery,
    security,
    sign_in,
    stock,
)

# In the order requests are matched: /stock/add before /stock/lots, /chats/new before a chat, what is asked most first.
ROUTERS = (
    stock.router,
    add.router,
    history.router,
    products.router,
    households.router,
    sign_in.router,
    accounts.router,
    account_deletion.router,
    security.router,
    recovery.router,
    devices.router,
    api_keys.router,
    acting.router,
    audit.router,
    notifications.router,
    chats.router,
    messages.router,
    links.router,
)
