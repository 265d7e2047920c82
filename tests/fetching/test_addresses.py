import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.fetching.addresses import is_public, parse_address

NOT_PUBLIC = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1
64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:10::1 2001:20::1 2001:db8::1
2002:7f00:1::1 2002:808:808::1 2620:4f:8000::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 febf::1 fec0::1 ff02::1
""".split()  # noqa: SIM905
PUBLIC = """
1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 128.0.0.1 172.15.255.255 172.32.0.1 192.167.1.1 223.255.255.255
::ffff:8.8.8.8 2001:200::1 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001::1 2003::1
""".split()  # noqa: SIM905


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_special_addresses_are_not_public(text: str) -> None:
    assert not is_public(parse_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_public(text: str) -> None:
    assert is_public(parse_address(text))


@given(st.ip_addresses())
def test_addresses_that_python_calls_private_or_reserved_are_not_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    known = address.is_private or address.is_reserved or address.is_multicast or address.is_link_local
    if known and not (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped):
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_mapped_address_becomes_the_ipv4_address(address: ipaddress.IPv4Address) -> None:
    assert parse_address(f"::ffff:{address}") == address


@pytest.mark.parametrize("text", ["fe80::1%eth0", "127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "", "a"])
def test_unusual_notations_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)
