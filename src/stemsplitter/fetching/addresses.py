"""Classification of IP addresses as public or not.

The tables hold the blocks of IANA's registries of special-purpose addresses (RFC 6890 and its updates) that are not
globally reachable or that embed another address, and the multicast and reserved blocks. ``ipaddress.is_global`` is not
used because it differs between patch releases of Python.
"""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network; 0.0.0.0 is this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers (CGNAT)
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public, but an internal service of Azure
        "169.254.0.0/16",  # link-local, with cloud metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, with broadcast
    )
)
# Only global unicast is public in IPv6: this excludes ::, ::1, IPv4-compatible ::/96, NAT64 64:ff9b::/96 and
# 64:ff9b:1::/48, discard-only 100::/64, unique local fc00::/7, link-local fe80::/10, multicast ff00::/8.
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, with Teredo 2001::/32 and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def parse_address(text: str) -> Address:
    """Parse an IP address; an IPv4-mapped one (``::ffff:a.b.c.d``) becomes the IPv4 address.

    Raises:
        ValueError: ``text`` is not an address, or has a scope (``fe80::1%eth0``).
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError(f"{text} names an interface")
        return address.ipv4_mapped or address
    return address


def is_public(address: Address) -> bool:
    """True if ``address`` is on the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not is_in(address, _NOT_PUBLIC_V4)
    return address in _GLOBAL_UNICAST_V6 and not is_in(address, _NOT_PUBLIC_V6)


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """True if one of ``networks`` contains ``address``."""
    return any(address in network for network in networks)
