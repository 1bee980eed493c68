"""Nobody gets us to call what is private, however it is written, named or redirected to."""

import ssl
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from services.core import addresses, outbound
from services.core.addresses import Exceptions
from tests.delivery.certificates import NAME, certificate, resolve, server_side
from tests.delivery.peers import http_peer, huge, status

PRIVATE = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]
# Without a user name of ours, what stands before the @ is one; the host comes after it.
TRICKS = ["example.com@127.0.0.1", "example.com:80@127.0.0.1", "example.com%2f@127.0.0.1"]


@pytest.fixture
async def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=outbound.PublicTransport(Exceptions()), timeout=10, trust_env=False)


@pytest.mark.parametrize("host", PRIVATE)
async def test_private_addresses_are_refused_before_any_connection(host: str, client: httpx.AsyncClient) -> None:
    async with http_peer() as peer, client:
        try:
            url = httpx.URL(f"http://{host}:{peer.port}/")
        except httpx.InvalidURL:
            return
        with pytest.raises(httpx.TransportError) as refused:
            await client.get(url)

    # This machine may have no IPv6, or not know an odd spelling; then there is nothing to connect to either.
    assert isinstance(refused.value, outbound.NotPublic) or str(refused.value) == "no such host"
    assert peer.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_the_server_that_was_not_called_was_there(host: str) -> None:
    """Else the test above would be content with a server that nobody can reach."""
    async with http_peer() as peer, httpx.AsyncClient(trust_env=False) as client:
        try:
            await client.get(f"http://{host}:{peer.port}/")
        except httpx.ConnectError:
            assert host.startswith("[")
        else:
            assert peer.connections == 1


@pytest.mark.parametrize("place", TRICKS)
async def test_what_looks_like_a_host_is_not_taken_for_one(place: str, client: httpx.AsyncClient) -> None:
    async with http_peer() as peer, client:
        with pytest.raises(outbound.NotPublic):
            await client.get(f"http://{place}:{peer.port}/")
    assert peer.connections == 0


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert addresses.is_public(ip_address(address))


@pytest.mark.parametrize("private", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1"])
async def test_a_name_that_leads_to_a_private_address_is_refused(
    private: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, {NAME: [private]})
    async with client:
        with pytest.raises(outbound.NotPublic):
            await client.get(f"http://{NAME}/")


async def test_a_name_is_asked_for_once_so_that_it_cannot_change_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allowed when it is checked, private when it is connected to: the connection goes to what was checked."""
    async with http_peer() as allowed, http_peer() as private:
        asked = resolve(monkeypatch, {NAME: ["127.0.0.1", "127.0.0.2"]})
        transport = outbound.PublicTransport(Exceptions.parse("127.0.0.1"))
        async with httpx.AsyncClient(transport=transport) as client:
            response = await client.get(f"http://{NAME}:{allowed.port}/")
            assert response.status_code == 200
            assert asked == [NAME]
            with pytest.raises(outbound.NotPublic):
                await client.get(f"http://{NAME}:{private.port}/")

    assert allowed.requests[0].headers["host"] == f"{NAME}:{allowed.port}"
    assert private.connections == 0


async def test_redirects_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with http_peer() as private, http_peer(status(302, Location=private.url)) as peer:
        transport = outbound.PublicTransport(Exceptions.parse("127.0.0.1"))
        async with outbound.client() as ours:
            assert not ours.follow_redirects
        async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
            # Not even a client that follows gets anywhere else than to what is permitted.
            monkeypatch.setattr(transport, "_exceptions", Exceptions(hosts=frozenset({"localhost"})))
            with pytest.raises(outbound.NotPublic):
                await client.get(peer.url.replace("127.0.0.1", "localhost"))
    assert (peer.connections, private.connections) == (1, 0)


async def test_an_answer_that_does_not_end_is_cut_off() -> None:
    async with http_peer(huge(8)) as peer:
        transport = outbound.PublicTransport(Exceptions.parse("127.0.0.1"))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(outbound.TooLarge):
                await client.get(peer.url)


async def test_the_certificate_must_be_the_name_s_though_an_address_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    resolve(monkeypatch, {NAME: ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    trusting = ssl.create_default_context(cafile=str(path))
    async with http_peer(tls=server_side(path)) as peer:
        transport = outbound.PublicTransport(Exceptions.parse("127.0.0.0/8"), verify=trusting)
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get(f"https://{NAME}:{peer.port}/")).status_code == 200
            with pytest.raises(httpx.ConnectError):
                await client.get(f"https://other.test:{peer.port}/")
    assert len(peer.requests) == 1


class TestExceptions:
    def test_are_networks_addresses_and_names(self) -> None:
        allowed = Exceptions.parse("10.0.0.0/8, 192.168.1.5,ntfy.lan , fd00::/8")

        for host, address in [("x", "10.1.1.1"), ("x", "192.168.1.5"), ("NTFY.lan", "172.16.0.1"), ("x", "fd00::1")]:
            assert allowed.permit(host, ip_address(address)), address
        for host, address in [("x", "127.0.0.1"), ("x", "192.168.1.6"), ("lan", "172.16.0.1")]:
            assert not allowed.permit(host, ip_address(address)), address

    @pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.0.0.1/8", "http://ntfy.lan", "a b"])
    def test_that_make_no_sense_are_refused(self, wrong: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            Exceptions.parse(wrong)
