"""What a delivery has to say, read when it is sent: what was eaten meanwhile is not warned of any more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import (
    QUANTITY,
    Channel,
    ChannelKind,
    Delivery,
    Household,
    LinkPurpose,
    Lot,
    Membership,
    Notification,
    NotificationKind,
    Product,
    ProductMute,
    Unit,
    User,
)
from services import action_links, notifications, one_time_links, sessions, stock, wording
from services.action_links import LinkAction
from services.core.i18n import DEFAULT_LOCALE, _, ngettext, use_locale
from services.core.numbers import plain
from services.dates import Urgency
from services.delivery import account
from services.delivery.account import Words
from services.permissions import Actor
from services.schemas.notifications import NotificationMessage, NotificationRead
from services.schemas.stock import LotRead
from settings import get_settings

# Of more than that, a message only says how many.
MAX_ITEMS = 40


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a digest tells: about a lot, or about a product that runs low."""

    notification_id: UUID
    kind: NotificationKind
    product_id: UUID | None
    name: str
    amount: str
    when: str
    advice: str = ""
    place: str = ""
    lot: LotRead | None = None
    links: Mapping[LinkAction, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """By what is true now: what was soon due when it was found may be due by now."""
        if self.lot is None:
            return "low"
        return "soon" if self.lot.urgency is Urgency.SOON else "now"

    @property
    def line(self) -> str:
        where = f"{self.amount}, {self.place}" if self.place else self.amount
        return f"{self.name} ({where}): {self.when}" + (f". {self.advice}" if self.advice else "")


@dataclass(frozen=True, slots=True)
class Group:
    kind: str
    title: str
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery, ready to be sent. `address` and `secret` are the channel's; e-mail goes to `email`."""

    id: UUID
    template: str
    at: datetime
    name: str
    email: str
    locale: str
    address: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    actor: Actor | None = None
    day: date | None = None
    groups: Sequence[Group] = ()
    unlisted: int = 0
    mention: NotificationRead | None = None
    words: Words | None = None
    link: str = field(default="", repr=False)

    @property
    def items(self) -> list[Item]:
        return [item for group in self.groups for item in group.items]

    @property
    def title(self) -> str:
        if self.words:
            return self.words.title
        if self.mention:
            return self.mention.title
        if self.template == "test":
            return _("Larder can reach you here")
        count = len(self.items) + self.unlisted
        names = ", ".join(dict.fromkeys(item.name for item in self.items[:3]))
        if count <= 3:
            return names
        return ngettext("{names} and {n} more", "{names} and {n} more", count - 3).format(names=names, n=count - 3)

    @property
    def text(self) -> str:
        """All of it in a few plain lines."""
        if self.words:
            return self.words.text
        if self.mention:
            return self.mention.text
        if self.template == "test":
            return _("This is a test. What is due will come this way.")
        return "\n".join(item.line for item in self.items)

    @property
    def message(self) -> NotificationMessage | None:
        """What mentions its reader."""
        return self.mention.message if self.mention else None

    @property
    def url(self) -> str:
        if self.mention and self.mention.message:
            to, household = self.mention.message, self.mention.household
            return f"{get_settings().home}/chats/{to.chat_id}?around={to.id}&household={household.id}"
        return f"{get_settings().home}/" if self.template == "digest" else self.settings_url

    @property
    def settings_url(self) -> str:
        return f"{get_settings().home}/settings/notifications"


async def read(session: AsyncSession, delivery: Delivery) -> Letter | None:
    """The letter, in its reader's language; None when nothing is left to say or nobody to say it to."""
    user = await session.get(User, delivery.user_id)
    if user is None or not user.is_active or _is_held_back(user, delivery):
        return None
    channel = await session.get(Channel, delivery.channel_id) if delivery.channel_id else None
    if channel is None and delivery.channel is not ChannelKind.EMAIL:
        return None
    actor = None
    if delivery.household_id is not None:
        actor = await sessions.find_member(session, user.id, delivery.household_id)
        if actor is None:
            return None

    locale = actor.locale if actor else await _locale_of(session, user)
    use_locale(locale)
    said = Letter(
        id=delivery.id,
        template=delivery.template,
        at=delivery.created_at,
        name=user.name,
        email=user.email,
        locale=locale,
        address=channel.address if channel else "",
        secret=channel.secret if channel else "",
        actor=actor,
    )
    if delivery.template == "digest":
        return await _digest(session, said, delivery) if actor else None
    if delivery.template == "mention":
        return await _mention(session, said, delivery)
    if delivery.template == "notice":
        return _notice(said, delivery)
    if delivery.template in set(LinkPurpose):
        return await _link(session, said, delivery)
    return said


def _is_held_back(user: User, delivery: Delivery) -> bool:
    """Where addresses must be confirmed, only what is about the account goes to one that is not."""
    about_household = delivery.channel is ChannelKind.EMAIL and delivery.template in {"digest", "mention", "test"}
    return about_household and get_settings().require_verified and not user.is_verified


async def _mention(session: AsyncSession, letter: Letter, delivery: Delivery) -> Letter | None:
    """Nothing to say once it was read, or its message deleted, or its reader left the chat."""
    actor = letter.actor
    assert actor is not None
    told = await notifications.find_unread(session, actor, UUID(delivery.data["notification_id"]))
    return None if told is None else replace(letter, mention=told)


def _notice(letter: Letter, delivery: Delivery) -> Letter:
    reset_url = f"{get_settings().home}/forgot"
    words = account.of_notice(delivery.data["what"], about=delivery.data["about"], reset_url=reset_url)
    return replace(letter, template="account", email=delivery.data["to"], words=words)


async def _link(session: AsyncSession, letter: Letter, delivery: Delivery) -> Letter | None:
    """Nothing to say once the link was used, or another was asked for."""
    link = await one_time_links.find_link(session, UUID(delivery.data["link_id"]))
    if link is None:
        return None
    words = account.of_link(link.purpose, email=link.email)
    return replace(letter, template="account", email=link.email, words=words, link=one_time_links.address(link))


async def _locale_of(session: AsyncSession, user: User) -> str:
    if user.locale:
        return user.locale
    statement = (
        select(Household.locale).join(Membership).where(Membership.user_id == user.id).order_by(col(Membership.id))
    )
    return (await session.scalars(statement)).first() or DEFAULT_LOCALE


async def _digest(session: AsyncSession, letter: Letter, delivery: Delivery) -> Letter | None:
    actor = letter.actor
    assert actor is not None
    ids = [UUID(value) for value in delivery.data.get("notification_ids", ())]
    day = date.fromisoformat(delivery.data["day"])
    muted = sa.exists().where(
        col(ProductMute.user_id) == actor.user_id, col(ProductMute.product_id) == col(Notification.product_id)
    )
    statement = select(Notification).where(
        Notification.user_id == actor.user_id,
        Notification.household_id == actor.household_id,
        col(Notification.id).in_(ids),
        ~muted,
    )
    told = (await session.scalars(statement)).all()
    items = [*await _due(session, actor, told, day), *await _low(session, actor, told)]
    if not items:
        return None
    shown = items[:MAX_ITEMS]
    groups = [
        Group(kind, title, found)
        for kind, title in (("now", _("Use now")), ("soon", _("Use soon")), ("low", _("Running low")))
        if (found := [item for item in shown if item.group == kind])
    ]
    return replace(letter, day=day, groups=groups, unlisted=len(items) - len(shown))


async def _due(session: AsyncSession, actor: Actor, told: Sequence[Notification], day: date) -> list[Item]:
    """Of lots that are still there and still due when they were, the most pressing first."""
    by_lot = {notification.lot_id: notification for notification in told if notification.lot_id}
    lots = await stock.find_lots(session, actor, list(by_lot))
    items = []
    for lot_id, lot in sorted(lots.items(), key=lambda pair: (pair[1].expires_on, pair[1].product.name)):
        notification = by_lot[lot_id]
        is_calm = lot.urgency in {Urgency.FINE, Urgency.UNDATED}  # it was snoozed
        if Decimal(lot.quantity) == 0 or lot.expires_on != notification.due_on or is_calm:
            continue
        when, advice = wording.due(lot.urgency, lot.date_kind, lot.expires_on, lot.expiry_reason, lot.days_left)
        product = lot.product
        items.append(
            Item(
                notification_id=notification.id,
                kind=notification.kind,
                product_id=notification.product_id,
                name=product.name,
                amount=wording.amount(lot.quantity, product.unit, product.unit_name, product.unit_plural),
                when=when,
                advice=advice,
                place=lot.location.name,
                lot=lot,
                links={
                    action: action_links.make(actor, lot, action, day=day)
                    for action in action_links.actions_for(actor, lot)
                },
            )
        )
    return items


async def _low(session: AsyncSession, actor: Actor, told: Sequence[Notification]) -> list[Item]:
    by_product = {
        notification.product_id: notification
        for notification in told
        if notification.kind is NotificationKind.LOW_STOCK
    }
    left = (
        sa.select(sa.func.coalesce(sa.func.sum(col(Lot.quantity)), 0))
        .where(col(Lot.product_id) == col(Product.id), col(Lot.quantity) > 0)
        .scalar_subquery()
    )
    statement = (
        sa.select(Product, Unit, sa.type_coerce(left, QUANTITY))
        .join(Unit, col(Unit.id) == col(Product.unit_id))
        .where(col(Product.id).in_(by_product), col(Product.household_id) == actor.household_id)
        .where(col(Product.archived_at).is_(None), col(Product.low_since).is_not(None))
        .order_by(col(Product.name_key))
    )
    return [
        Item(
            notification_id=by_product[product.id].id,
            kind=NotificationKind.LOW_STOCK,
            product_id=product.id,
            name=product.name,
            amount=wording.amount(plain(quantity), unit.code, unit.name, unit.plural),
            when=_("running low"),
        )
        for product, unit, quantity in (await session.execute(statement)).all()
    ]
