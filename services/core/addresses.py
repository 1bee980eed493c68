"""Which addresses may be called on behalf of users: those of the public internet, and what the operator allows besides.

Whoever lets people name a server lets them name his own: the router, the database, the cloud's metadata service.
"""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

# What the registries call private today, and Python does not in every version.
_SPECIAL = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))
# Of IPv6, only global unicast is reached; what wraps an IPv4 address (NAT64, mapped, 6to4, Teredo) may wrap any.
_UNICAST = IPv6Network("2000::/3")
_TUNNELS = (IPv6Network("2001::/23"), IPv6Network("2002::/16"))


@dataclass(frozen=True, slots=True)
class Exceptions:
    """The private hosts and networks that may be called all the same."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Exceptions":
        """From names, addresses and networks with commas between. Raises `ValueError`."""
        hosts, networks = set(), []
        for part in filter(None, (part.strip().lower() for part in text.split(","))):
            try:
                networks.append(ip_network(part))
            except ValueError:
                if not part.replace("-", "").replace(".", "").replace("_", "").isalnum():
                    raise
                hosts.add(part)
        return cls(frozenset(hosts), tuple(networks))

    def permit(self, host: str, address: Address) -> bool:
        """Whether `host`, which was found at `address`, may be called there."""
        if is_public(address) or host.lower().rstrip(".") in self.hosts:
            return True
        return any(address in network for network in self.networks if network.version == address.version)

    def name(self, host: str) -> bool:
        """Whether the operator allows this very host, so that it is known to be on a network of his own."""
        address = literal(host)
        return host.lower() in self.hosts or (
            address is not None and any(address in network for network in self.networks)
        )


def literal(host: str) -> Address | None:
    """The address that stands in a host's place, also as one number or in hexadecimal or octal."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_public(address: Address) -> bool:
    if address.version == 6 and (address not in _UNICAST or any(address in tunnel for tunnel in _TUNNELS)):
        return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)
