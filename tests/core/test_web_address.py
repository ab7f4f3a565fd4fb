"""Where a name may lead, and where it never may."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.web_address import may_be_connected

NEVER = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "0.0.0.0",
    "::",
    "169.254.169.254",  # an instance's metadata
    "169.254.170.2",  # a container's credentials
    "169.254.170.23",  # a pod's credentials
    "169.254.169.253",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fe80::1",
    "fe80::1%eth0",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "::7f00:1",
    "::a9fe:a9fe",
    "::ffff:0:a9fe:a9fe",
    "nonsense",
    "",
    "10.0.0",
]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "fd12:3456::1",
    "169.254.171.0",  # VPC Lattice
    "169.254.171.32",
    "fd00:ec2:80::a9fe:ab20",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:0a00:0001::",
    "::ffff:0:a00:1",
    "64:ff9b:1::808:808",  # NAT64 of one's own
    "fec0::1",
    "192.0.0.192",
]
PUBLIC = ["52.95.110.1", "2600:1f18::1", "::ffff:52.95.110.1", "64:ff9b::345f:6e01"]


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("private", [True, False])
def test_a_name_never_leads_to_this_machine_or_its_services(address: str, private: bool) -> None:
    assert not may_be_connected(address, private=private)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_leads_to_private_addresses_where_that_is_said(address: str) -> None:
    assert may_be_connected(address, private=True)
    assert not may_be_connected(address, private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_name_may_lead_to_the_public_internet(address: str) -> None:
    assert may_be_connected(address, private=True)
    assert may_be_connected(address, private=False)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    whole = [f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address)))]
    for private in (True, False):
        plain = may_be_connected(str(address), private=private)
        assert [may_be_connected(one, private=private) for one in whole] == [plain, plain]


@given(st.ip_addresses())
def test_what_public_names_may_lead_to_private_ones_may_too(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if may_be_connected(str(address), private=False):
        assert may_be_connected(str(address), private=True)


@given(st.text(max_size=30))
def test_any_text_is_judged(text: str) -> None:
    assert may_be_connected(text, private=True) in (True, False)
