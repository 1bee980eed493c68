"""The addresses that `LARDER_GUARD_ALLOW` names: no limit of addresses holds for them, and no ban."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from services.guard import keys
from settings import get_settings


def is_allowed(key: str) -> bool:
    """Whether the address or network of a key is one of them. Whoever has no address came over a socket of ours."""
    text = key.removeprefix(keys.ADDRESS)
    if not text:
        return True
    try:
        named = ip_network(text)
    except ValueError:
        return False
    return any(_holds(allowed, named) for allowed in _allowed(get_settings().guard_allow))


def _holds(allowed: IPv4Network | IPv6Network, named: IPv4Network | IPv6Network) -> bool:
    # One IPv6 address that is allowed allows the network it is counted with.
    return allowed.version == named.version and allowed.overlaps(named)


@lru_cache(maxsize=8)
def _allowed(setting: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in setting.split(",") if part.strip())
