"""What a new instance has for its staff: the panel's menu, roles to begin with, and lists to choose from.

Permissions may be named by pattern: `panel.unit:*`.
"""

from dataclasses import dataclass

from models import DataScope
from services.core.i18n import mark


@dataclass(frozen=True, slots=True)
class Button:
    """Its code is the permission that what it does needs."""

    code: str
    label: str
    icon: str


@dataclass(frozen=True, slots=True)
class Entry:
    code: str
    label: str
    path: str
    icon: str
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Area:
    code: str
    label: str
    icon: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """`menus` are codes of entries, or of areas for all of their entries; with an entry go its buttons."""

    code: str
    name: str
    description: str
    data_scope: DataScope
    permissions: tuple[str, ...]
    menus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    kind: str
    value: str
    label: str
    note: str = ""


MENU = (
    Area(
        "people",
        mark("People"),
        "users",
        (
            Entry(
                "people.users",
                mark("Users"),
                "/admin/user/list",
                "user",
                (
                    Button("panel.user:verify", mark("Mark as verified"), "badge-check"),
                    Button("panel.user:send-reset", mark("Mail a link for a new password"), "mail"),
                    Button("panel.user:require-password", mark("Require a new password"), "key-round"),
                    Button("panel.user:logout", mark("Sign out everywhere"), "log-out"),
                    Button("panel.user:enable", mark("Let in again"), "user-check"),
                    Button("panel.user:disable", mark("Disable"), "user-x"),
                ),
            ),
            Entry("people.households", mark("Households"), "/admin/household/list", "house"),
            Entry("people.members", mark("Members"), "/admin/membership/list", "users"),
            Entry(
                "people.sessions",
                mark("Sessions"),
                "/admin/user-session/list",
                "smartphone",
                (Button("panel.user-session:revoke", mark("Sign out"), "log-out"),),
            ),
        ),
    ),
    Area(
        "access",
        mark("Access"),
        "key-round",
        (
            Entry("access.roles", mark("Staff roles"), "/admin/roles", "shield"),
            Entry("access.keys", mark("API keys"), "/admin/api-key/list", "key-round"),
            Entry("access.passkeys", mark("Passkeys"), "/admin/passkey/list", "fingerprint"),
            Entry("access.endpoints", mark("Endpoints"), "/admin/endpoint/list", "toggle-left"),
            Entry("access.menu", mark("Menu"), "/admin/menu-item/list", "panel-left"),
        ),
    ),
    Area(
        "stock",
        mark("Stock"),
        "package",
        (
            Entry("stock.products", mark("Products"), "/admin/product/list", "package"),
            Entry("stock.lots", mark("Lots"), "/admin/lot/list", "layers"),
            Entry("stock.events", mark("Ledger"), "/admin/event/list", "history"),
        ),
    ),
    Area(
        "catalogue",
        mark("Catalogue"),
        "book-marked",
        (
            Entry("catalogue.items", mark("Catalogue"), "/admin/catalogue-item/list", "barcode"),
            Entry("catalogue.categories", mark("Categories"), "/admin/category/list", "carrot"),
            Entry("catalogue.units", mark("Units"), "/admin/unit/list", "scale"),
            Entry("catalogue.dictionary", mark("Dictionary"), "/admin/dictionary-entry/list", "book-a"),
        ),
    ),
    Area(
        "messages",
        mark("Messages"),
        "send",
        (
            Entry("messages.channels", mark("Channels"), "/admin/channel/list", "radio"),
            Entry(
                "messages.deliveries",
                mark("Deliveries"),
                "/admin/delivery/list",
                "send",
                (Button("panel.delivery:retry", mark("Try again"), "rotate-cw"),),
            ),
        ),
    ),
    Area(
        "tasks",
        mark("Tasks"),
        "list-checks",
        (
            Entry(
                "tasks.jobs",
                mark("Jobs"),
                "/admin/job/list",
                "list-checks",
                (Button("panel.job:retry", mark("Try again"), "rotate-cw"),),
            ),
            Entry("tasks.runs", mark("Runs"), "/admin/job-run/list", "clock"),
        ),
    ),
    Area(
        "watch",
        mark("Watch"),
        "eye",
        (
            Entry("watch.audit", mark("Audit log"), "/admin/audit", "scroll-text"),
            Entry("watch.monitor", mark("Monitor"), "/admin/monitor", "activity"),
            Entry("watch.guard", mark("Guard"), "/admin/guard", "shield-alert"),
            Entry("watch.system", mark("System"), "/admin/system", "server"),
        ),
    ),
)

ROLES = (
    Role(
        "support",
        mark("Support"),
        mark("Helps the people of the households assigned to them."),
        DataScope.HOUSEHOLDS,
        (
            "acting:start",
            "panel.household:details",
            "panel.household:list",
            "panel.membership:details",
            "panel.membership:list",
            "panel.user-session:list",
            "panel.user-session:revoke",
            "panel.user:details",
            "panel.user:list",
            "panel.user:logout",
            "panel.user:send-reset",
            "panel.user:verify",
        ),
        ("people",),
    ),
    Role(
        "curator",
        mark("Curator"),
        mark("Keeps the words that all households share."),
        DataScope.ALL,
        ("panel.catalogue-item:*", "panel.category:*", "panel.dictionary-entry:*", "panel.unit:*"),
        ("catalogue",),
    ),
    Role(
        "auditor",
        mark("Auditor"),
        mark("Sees what was done, and changes nothing."),
        DataScope.ALL,
        (
            "audit:*",
            "monitor:overview",
            "monitor:problems",
            "monitor:request",
            "monitor:requests",
            "panel.job-run:details",
            "panel.job-run:list",
        ),
        ("tasks.runs", "watch.audit", "watch.monitor"),
    ),
    Role(
        "operator",
        mark("Operator"),
        mark("Keeps this instance running."),
        DataScope.ALL,
        ("guard:*", "monitor:*", "panel.delivery:*", "panel.job-run:*", "panel.job:*", "system:overview"),
        ("messages.deliveries", "tasks", "watch.guard", "watch.monitor", "watch.system"),
    ),
)

DICTIONARY = (
    Choice("store", "supermarket", mark("Supermarket")),
    Choice("store", "discounter", mark("Discounter")),
    Choice("store", "farmers_market", mark("Farmers’ market")),
    Choice("store", "bakery", mark("Bakery")),
    Choice("store", "butcher", mark("Butcher")),
    Choice("store", "greengrocer", mark("Greengrocer")),
    Choice("store", "drugstore", mark("Drugstore")),
    Choice("store", "pharmacy", mark("Pharmacy")),
    Choice("store", "online", mark("Online")),
    Choice("store", "own_garden", mark("Own garden")),
    Choice("ban_reason", "too_many_sign_ins", mark("Too many failed sign-ins")),
    Choice("ban_reason", "scraping", mark("Takes too much")),
    Choice("ban_reason", "abuse", mark("Abuse")),
    Choice("ban_reason", "by_request", mark("Asked for by the owner of the address")),
)
