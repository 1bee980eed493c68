"""The app's list and its home page, as a Django developer in a hurry for speed would write them."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Exists, F, OuterRef, Q, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.utils import timezone

from bench.django_app.models import Event, Lot, Membership

COLUMNS = (
    *("id", "quantity", "date_kind", "printed_on", "expires_on", "expiry_reason", "opened_on", "frozen_on"),
    *("thawed_on", "snoozed_until", "purchased_on", "purchased_quantity", "price", "store", "lot_code", "owner_id"),
    *("note", "version", "product_id", "product__name", "product__usual_quantity", "product__soon_days"),
    *("product__category__icon", "product__category__soon_days", "product__category__parent__soon_days"),
    *("product__unit__code", "product__unit__name", "product__unit__plural", "product__unit__kind"),
    *("product__unit__factor", "location_id", "location__name", "location__kind"),
)
MILLION = 1_000_000


def health(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@login_required  # type: ignore[untyped-decorator]
def lots(request: HttpRequest, household_id: str) -> HttpResponse:
    member = _member(request, household_id)
    today = _today(member)
    items = [_read(row, today, member.household.soon_days) for row in _rows(member)]
    return JsonResponse({"items": items, "next": None, "total": None})


@login_required  # type: ignore[untyped-decorator]
def home(request: HttpRequest) -> HttpResponse:
    member = _member(request, request.session["household"])
    today = _today(member)
    shown = [_shown(row, today, member.household.soon_days) for row in _rows(member)]
    context = {
        "member": member,
        "first_name": request.user.name.split()[0],
        "today": f"{today:%A %-d %B}",
        "numbers": _numbers(member, today),
        "groups": [group for group in _groups(shown) if group["rows"]],
    }
    return render(request, "home.html", context)


def _member(request: HttpRequest, household_id: str) -> Any:
    members = Membership.objects.select_related("household")
    return get_object_or_404(members, household_id=household_id, user_id=request.user.pk)


def _today(member: Any) -> date:
    today: date = timezone.localdate(timezone=ZoneInfo(member.household.time_zone))
    return today


def _rows(member: Any) -> Any:
    in_stock = Lot.objects.filter(household_id=member.household_id, quantity__gt=0)
    return in_stock.order_by(F("expires_on").asc(nulls_last=True), "id").values(*COLUMNS)[:100]


def _numbers(member: Any, today: date) -> dict[str, Any]:
    week = date.fromordinal(today.toordinal() + 7)
    is_unsafe = Q(date_kind="use_by") & ~Q(expiry_reason="frozen")
    numbers = Lot.objects.filter(household_id=member.household_id, quantity__gt=0).aggregate(
        lots=Count("id"),
        use_now=Count("id", filter=Q(expires_on__lte=today) & ~(Q(expires_on__lt=today) & is_unsafe)),
        this_week=Count("id", filter=Q(expires_on__gt=today, expires_on__lte=week)),
    )
    binned = Event.objects.filter(
        ~Exists(Event.objects.filter(reverses=OuterRef("pk"))),
        household_id=member.household_id,
        kind="discard",
        occurred_at__gte=timezone.now().replace(day=1, hour=0, minute=0, second=0),
    )
    return {**numbers, **binned.aggregate(binned=Count("id"), value=Sum("value"))}


def _read(row: dict[str, Any], today: date, soon_days: int) -> dict[str, Any]:
    return {
        "id": row["id"],
        "product": {
            "id": row["product_id"],
            "name": row["product__name"],
            "unit": row["product__unit__code"],
            "unit_name": row["product__unit__name"],
            "unit_plural": row["product__unit__plural"],
            "unit_kind": row["product__unit__kind"],
            "icon": row["product__category__icon"] or "",
        },
        "location": {"id": row["location_id"], "name": row["location__name"], "kind": row["location__kind"]},
        "quantity": _plain(row["quantity"]),
        "usual_quantity": _plain(_usual(row)),
        "date_kind": row["date_kind"],
        "printed_on": row["printed_on"],
        "expires_on": row["expires_on"],
        "expiry_reason": row["expiry_reason"],
        "urgency": _urgency(row, today, soon_days),
        "days_left": (row["expires_on"] - today).days if row["expires_on"] else None,
        "opened_on": row["opened_on"],
        "frozen_on": row["frozen_on"],
        "thawed_on": row["thawed_on"],
        "snoozed_until": row["snoozed_until"],
        "purchased_on": row["purchased_on"],
        "purchased_quantity": _plain(row["purchased_quantity"]),
        "price": None if row["price"] is None else f"{row['price'] / 10_000:.2f}",
        "store": row["store"],
        "lot_code": row["lot_code"],
        "owner_id": row["owner_id"],
        "note": row["note"],
        "version": row["version"],
    }


def _shown(row: dict[str, Any], today: date, soon_days: int) -> dict[str, Any]:
    urgency = _urgency(row, today, soon_days)
    text, advice = _due(row, urgency, today)
    unit = row["product__unit__code"]
    is_counted = row["product__unit__kind"] in {"count", "pack"}
    usual = _usual(row)
    return {
        "id": row["id"],
        "at": f"/stock/lots/{row['id']}",
        "name": row["product__name"],
        "icon": row["product__category__icon"] or "package",
        "amount": f"{_plain(row['quantity'], ',')}\N{NO-BREAK SPACE}"
        f"{unit if len(unit) <= 2 else row['product__unit__plural']}",
        "place": row["location__name"],
        "is_frozen": row["frozen_on"] is not None,
        "shows_frozen": row["frozen_on"] is not None and row["location__kind"] != "freezer",
        "is_open": row["opened_on"] is not None,
        "urgency": urgency,
        "days_left": (row["expires_on"] - today).days if row["expires_on"] else None,
        "text": text,
        "advice": advice,
        "version": row["version"],
        "usual": _plain(usual),
        "used": "" if usual == row["quantity"] else _plain(usual, ","),
        "opening": _plain(usual if is_counted else row["quantity"]),
    }


def _groups(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {"now": [], "over": [], "week": [], "later": [], "undated": []}
    for row in rows:
        if row["days_left"] is None:
            groups["undated"].append(row)
        elif row["urgency"] == "expired":
            groups["over"].append(row)
        elif row["days_left"] <= 0:
            groups["now"].append(row)
        else:
            groups["week" if row["days_left"] <= 7 else "later"].append(row)
    titles = ("Use now", "Past their use-by", "This week", "Later", "No date")
    return [
        {"key": key, "title": title, "rows": shown} for (key, shown), title in zip(groups.items(), titles, strict=True)
    ]


def _urgency(row: dict[str, Any], today: date, soon_days: int) -> str:
    if row["expires_on"] is None:
        return "undated"
    days = (row["expires_on"] - today).days
    if days < 0:
        return "expired" if row["date_kind"] == "use_by" and row["expiry_reason"] != "frozen" else "past_best"
    if days == 0:
        return "today"
    own = (
        row["product__soon_days"],
        row["product__category__soon_days"],
        row["product__category__parent__soon_days"],
        soon_days,
    )
    is_awake = row["snoozed_until"] is None or row["snoozed_until"] <= today
    return "soon" if is_awake and days <= next(known for known in own if known is not None) else "fine"


def _due(row: dict[str, Any], urgency: str, today: date) -> tuple[str, str]:
    if row["expires_on"] is None:
        return ("Frozen" if row["expiry_reason"] == "frozen" else "No date"), ""
    days = (row["expires_on"] - today).days
    if days < 0:
        when = (
            "yesterday" if days == -1 else f"{row['expires_on']:%A}" if days > -7 else f"{row['expires_on']:%a %-d %b}"
        )
        if urgency == "expired":
            return f"Use by was {when}", "Do not eat it any more"
        is_printed = row["date_kind"] == "best_before"
        return f"{'Best before was' if is_printed else 'Probably good until'} {when}", "Look, smell, taste"
    if days == 0:
        return {"use_by": "Use by today", "best_before": "Best before today"}.get(row["date_kind"], "Use today"), ""
    if row["expiry_reason"] == "frozen" and days > 14:
        return f"Frozen, good until {row['expires_on']:%b %Y}", ""
    if days <= 14:
        return f"{days} day{'s' if days > 1 else ''} left", ""
    return f"until {row['expires_on']:{'%-d %b' if days <= 300 else '%b %Y'}}", ""


def _usual(row: dict[str, Any]) -> int:
    quantity: int = row["quantity"]
    usual: int | None = row["product__usual_quantity"]
    if usual is None and row["product__unit__kind"] in {"count", "pack"}:
        usual = MILLION
    elif usual is None:
        usual = quantity if quantity * row["product__unit__factor"] // 10**12 <= 500 * MILLION else quantity // 4
    return min(usual, quantity)


def _plain(millionths: int, separator: str = "") -> str:
    text = f"{millionths / MILLION:{separator}.6f}"
    return text.rstrip("0").rstrip(".")


urlpatterns = [
    path("health", health),
    path("households/<uuid:household_id>/lots", lots),
    path("", home),
]
