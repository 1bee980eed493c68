"""The JSON API, /api/v1: the same nouns and the same service calls as the pages."""

from routes.api import (
    accounts,
    api_keys,
    audit,
    channels,
    chats,
    dictionary,
    events,
    feeds,
    households,
    notifications,
    products,
    recovery,
    security,
    sign_in,
    stock,
    words,
)

# In the order requests are matched: what is asked most comes first.
ROUTERS = (
    stock.router,
    products.router,
    events.router,
    chats.router,
    words.router,
    households.router,
    households.own_router,
    accounts.router,
    recovery.router,
    sign_in.router,
    security.router,
    api_keys.router,
    channels.router,
    dictionary.router,
    notifications.router,
    notifications.product_router,
    audit.router,
    feeds.router,
    feeds.public_router,
)
