"""Stand in for AWS PrivateLink: an interface endpoint, and the service that it leads to.

async with PrivateLink(service.url, name="agent.acme.internal", authority=authority) as link:
    pathway = {"url": "https://agent.acme.internal", "connect_to": link.address}

The endpoint passes bytes on and knows nothing of what they say. Behind it a listener speaks TLS:
the name that the handshake asks for decides which certificate is shown, and `Host` decides whether
there is anything. So whoever calls the endpoint by its own name has to ask for the service's.

Source: https://docs.aws.amazon.com/vpc/latest/privatelink/manage-dns-names.html
"""

import re
import ssl
from collections import deque
from typing import Final, Literal

from starlette.types import Receive, Scope, Send
from typing_extensions import override

from tidegate_dev.authority import Authority
from tidegate_dev.edge.answers import RefusedError
from tidegate_dev.edge.integration import Integration, Onward, end_to_end
from tidegate_dev.listener import LOOPBACK, Listener
from tidegate_dev.named_faults import switch_fault
from tidegate_dev.pipe import Pipe
from tidegate_dev.running import Running
from tidegate_dev.signed_http import give, received
from tidegate_dev.sigv4_check import ReceivedRequest, Verdict

#: A fault's name, and what is so while it is on.
FAULTS: Final = {
    "not_accepted": "the service's owner has not accepted the connection: nothing comes through",
    "cut": "connections are cut as soon as they are made",
    "wrong_name": "the service shows a certificate of another name",
    "expired_certificate": "the service's certificate has ended",
    "foreign_authority": "the service's certificate is from another authority",
    "service_down": "nothing healthy is behind the load balancer",
}
_SHOWS: Final = ("wrong_name", "expired_certificate", "foreign_authority")
_Shown = Literal["right", "wrong_name", "expired_certificate", "foreign_authority"]
_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_PLAIN: Final = (("content-type", "text/plain"),)
_STATUS: Final = {"IntegrationTimeout": 504}


class _Service:
    """What is behind the load balancer: it answers to one name."""

    def __init__(self, url: str, *, name: str, timeout_seconds: float) -> None:
        self.is_down = False
        self._name = name
        self._integration = Integration(
            url, timeout_seconds=timeout_seconds, max_body_bytes=_MAX_BODY_BYTES
        )

    async def close(self) -> None:
        """Let go of the connections to the service."""
        await self._integration.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http":
            return
        request, whole = await received(scope, receive, _MAX_BODY_BYTES)
        hosts = [host.decode("latin-1").lower() for host in request.values(b"host")]
        if [re.sub(r":[0-9]+\Z", "", host) for host in hosts] != [self._name]:
            await give(send, 404, _PLAIN, b"No such host.")
        elif not whole or self.is_down:
            await give(send, 503 if whole else 413, _PLAIN, b"")
        else:
            await self._forward(request, send)

    async def _forward(self, request: ReceivedRequest, send: Send) -> None:
        path = request.raw_path.decode("latin-1")
        # A load balancer of this kind takes nothing away, and adds nothing.
        headers = end_to_end(request)
        onward = Onward(request=request, path=path, headers=headers, check=Verdict())
        try:
            answer = await self._integration.carry(onward)
        except RefusedError as refused:
            await give(send, _STATUS.get(refused.verdict, 503), _PLAIN, b"")
            return
        await give(send, answer.status, answer.headers, answer.body)


class PrivateLink(Running):
    """Endpoint, load balancer and certificate; an async context manager, started when entered.

    Attributes:
        name: The service's private DNS name.
        endpoint_name: The endpoint's own name.
        faults: What is wrong at the moment; any of `FAULTS`.
        asked_for: The names that handshakes asked for, latest last; None for none.
    """

    def __init__(
        self,
        service_url: str,
        *,
        name: str,
        authority: Authority,
        client_ca: bytes | None = None,
        region: str = "eu-west-1",
        endpoint_id: str = "vpce-0a1b2c3d4e5f67890",
        port: int = 0,
        timeout_seconds: float = 60.0,
    ) -> None:
        self.name = name
        self.endpoint_name = f"{endpoint_id}-q4w8e2rt.vpce-svc-0fedcba9.{region}.vpce.amazonaws.com"
        self.faults: set[str] = set()
        self.asked_for: deque[str | None] = deque(maxlen=50)
        balancer = f"agent-0123456789abcdef.elb.{region}.amazonaws.com"
        self._contexts: dict[_Shown, ssl.SSLContext] = {
            "right": authority.issue(name).server_context(client_ca=client_ca),
            "wrong_name": authority.issue(balancer).server_context(client_ca=client_ca),
            "expired_certificate": authority.issue(name, ended=True).server_context(),
            "foreign_authority": Authority("another").issue(name).server_context(),
        }
        # What is shown to whoever asks for a name that the load balancer has no certificate for.
        front = authority.issue(balancer).server_context(client_ca=client_ca)
        front.sni_callback = self._choose
        self._service = _Service(service_url, name=name, timeout_seconds=timeout_seconds)
        self._balancer = Listener(self._service, tls=front)
        self._endpoint = Pipe(port=port, to=(LOOPBACK, self._balancer.port))
        self.port = self._endpoint.port

    @property
    def address(self) -> str:
        """Return where the endpoint is, as `connect_to` has it."""
        return f"{LOOPBACK}:{self.port}"

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault.

        Raises:
            ValueError: There is no such fault.
        """
        switch_fault(self.faults, name, on=on, known=FAULTS)
        self._endpoint.holds = "not_accepted" in self.faults
        self._endpoint.cuts = "cut" in self.faults
        self._service.is_down = "service_down" in self.faults

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, asked: str | None, _: ssl.SSLContext
    ) -> None:
        self.asked_for.append(asked)
        wrong: _Shown | None = next((fault for fault in _SHOWS if fault in self.faults), None)
        if asked == self.name:
            connection.context = self._contexts[wrong or "right"]

    @override
    async def start(self) -> None:
        """Connections are being taken when this returns."""
        await self._balancer.start()
        await self._endpoint.start()

    @override
    async def stop(self) -> None:
        """The port is free again, and no connection is left."""
        await self._endpoint.stop()
        await self._balancer.stop()
        await self._service.close()
