"""Whom the guard counts: an address, or an account; neither says more than it must."""

import hmac
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from services.core import text
from settings import get_settings

ADDRESS = "address:"
ACCOUNT = "account:"
# Who has one IPv6 address has the whole network.
NETWORK_BITS = 64


@lru_cache(maxsize=10_000)
def of_address(address: str) -> str:
    """`address:192.0.2.7`, `address:2001:db8::/64`."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return f"{ADDRESS}{address[:45]}"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return f"{ADDRESS}{IPv6Network((parsed, NETWORK_BITS), strict=False)}"
        parsed = parsed.ipv4_mapped
    return f"{ADDRESS}{parsed}"


def of_account(email: str) -> str:
    """`account:` and a keyed hash of the e-mail: what is typed there may be anything, and is not kept."""
    secret = get_settings().secret_key.get_secret_value().encode()
    typed = text.fold_email(email).encode(errors="replace")
    return f"{ACCOUNT}{hmac.new(secret, b'guard' + typed, 'sha256').hexdigest()[:32]}"
