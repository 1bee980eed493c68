"""Exact numbers as text."""

from decimal import Decimal
from functools import lru_cache


@lru_cache(maxsize=4096)
def plain(value: Decimal) -> str:
    """Without exponent and without trailing zeros: `2`, `0.5`."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


@lru_cache(maxsize=4096)
def plain_money(value: Decimal) -> str:
    """With at least two decimals: `2.50`, `0.125`."""
    whole, _, decimals = plain(value).partition(".")
    return f"{whole}.{decimals:0<2}"
