"""Where a request may go: public addresses only, unless a connector allows its own network.

A url that somebody typed, or a name whose owner changes what it resolves to, must not make the
pipeline ask this machine, its network or a cloud's metadata service with a token. The name is
resolved once, all its addresses are looked at, and the connection goes to one of just these: a
second answer of the name server (DNS rebinding) is never asked for.
"""

import ipaddress
import socket
from typing import Any

from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

# RFC 6052: an IPv6 network without IPv4 reaches the IPv4 address in the last 32 bits through it.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddress(Exception):
    """A host leads to an address that may not be asked; the text names it."""


def why_refused(address: str) -> str | None:
    """Say of which kind an address is that no public till system has; None for a public one.

    Args:
        address: IPv4 or IPv6, with or without a scope.

    >>> why_refused("192.168.1.20"), why_refused("::ffff:127.0.0.1"), why_refused("9.9.9.9")
    ('private', 'loopback', None)
    """
    ip = _meant(ipaddress.ip_address(address))
    if ip.is_loopback:
        return "loopback"
    if ip.is_link_local:
        return "link-local"
    if ip.is_unspecified or ip.is_multicast or ip.is_reserved:
        return "reserved"
    return None if ip.is_global else "private"


def _meant(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Give the IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def public_addresses(host: str, port: int | None) -> list[str]:
    """Resolve a host and give its addresses, all of them public.

    Raises:
        PrivateAddress: one of them is not. A name with addresses of both kinds is refused too:
            which of them a connection would take is chance.
        OSError: the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of more than 63 characters, or an empty one
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        kind = why_refused(address)
        if kind:
            raise PrivateAddress(f"{address}, a {kind} address")
    return addresses


def check_behind_proxy(url: str, host: str) -> None:
    """Look at a host that a proxy will connect to; a name only the proxy knows is left to it.

    Raises:
        PrivateAddress: the host leads to an address that is not public.
    """
    if select_proxy(url, get_environ_proxies(url)) is None:
        return
    try:
        public_addresses(host, None)
    except OSError:
        return


class PublicAddressesAdapter(HTTPAdapter):
    """Connects to public addresses only, and raises PrivateAddress before anything is sent."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools; those of a proxy are made elsewhere and stay as they are."""
        super().init_poolmanager(*args, **kwargs)
        pools: PoolManager = self.poolmanager
        pools.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _Checked(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        try:
            addresses = public_addresses(self.host, self.port)
            return self._to_first(addresses)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"{self.host}: {error}") from error

    def _to_first(self, addresses: list[str]) -> socket.socket:
        """Connect to the first address that answers; the name is not resolved again."""
        for address in addresses[:-1]:
            try:
                return self._to(address)
            except OSError:
                continue
        return self._to(addresses[-1])

    def _to(self, address: str) -> socket.socket:
        return create_connection(
            (address, self.port),
            self.timeout,
            source_address=self.source_address,
            socket_options=self.socket_options,
        )


class _CheckedHttps(_Checked, HTTPSConnection):
    """TLS still proves the host's name: only the address to connect to was looked up before."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Checked


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedHttps
