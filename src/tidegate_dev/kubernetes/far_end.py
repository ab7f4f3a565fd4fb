"""A Kubernetes cluster as a real server on loopback: for the dev workspace, and as a test double.

async with KubernetesFarEnd() as cluster:
    cluster.write_kubeconfig(Path("kubeconfig"))  # kubectl --kubeconfig kubeconfig get pods
    cluster.store.get(DEPLOYMENTS, "staging", "web")
"""

import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp
from typing_extensions import override

from tidegate_dev.kubernetes.admissions import AdmissionRequest
from tidegate_dev.kubernetes.api import Api
from tidegate_dev.kubernetes.audit import Audit
from tidegate_dev.kubernetes.bootstrap import bootstrap
from tidegate_dev.kubernetes.controllers import Controllers, Faults, Timings
from tidegate_dev.kubernetes.controllers.quotas import QuotaError, Quotas
from tidegate_dev.kubernetes.errors import StatusError
from tidegate_dev.kubernetes.faults import ApiFaults
from tidegate_dev.kubernetes.kubeconfig import write_kubeconfig
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.resources import PODS, SERVICE_ACCOUNTS
from tidegate_dev.kubernetes.seed import DEADLINE_SECONDS, seed
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.users import (
    API_AUDIENCE,
    MASTERS,
    Token,
    Tokens,
    User,
    service_account,
)
from tidegate_dev.kubernetes.watching import BOOKMARK_SECONDS
from tidegate_dev.listener import Listener
from tidegate_dev.running import Running

_ADMINISTRATOR: Final = User(name="kubernetes-admin", groups=(MASTERS,))


class KubernetesFarEnd(Running):
    """One cluster, served in the running loop; an async context manager.

    Args:
        seeded: Whether the company's workloads are in it, beside what every cluster has.
        deadline_seconds: How long a rollout of these may go without progress.
        controlled: Whether controllers bring about what objects ask for.
        kubelets: Whether there are nodes, which run pods; else that is left to the API's clients.
        allow_anonymous: Whether who brings no token is `system:anonymous`, or is refused.
        now: Seconds since the Unix epoch.

    Attributes:
        store: The objects themselves.
        logs: What containers wrote.
        tokens: The bearer tokens that are taken.
        audit: Who asked for what.
        faults: What goes wrong with the API.
        controllers: What brings about what objects ask for; None without.
        admissions: What has a say before an object is made or changed.
        admin_token: The token of somebody who may do everything.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        sock: socket.socket | None = None,
        seeded: bool = True,
        deadline_seconds: int = DEADLINE_SECONDS,
        controlled: bool = True,
        kubelets: bool = True,
        allow_anonymous: bool = True,
        timings: Timings | None = None,
        workload_faults: Faults | None = None,
        bookmark_seconds: float = BOOKMARK_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.store = Store(now)
        self.logs = Logs(now)
        self.tokens = Tokens(now)
        self.audit = Audit()
        self.faults = ApiFaults()
        self.controllers = (
            Controllers(
                self.store,
                self.logs,
                timings=timings,
                faults=workload_faults,
                kubelets=kubelets,
            )
            if controlled
            else None
        )
        self._quotas = Quotas(self.store)
        bootstrap(self.store)
        if seeded:
            seed(self.store, deadline_seconds=deadline_seconds)
        api = Api(
            self.store,
            self.logs,
            self.tokens,
            audit=self.audit,
            faults=self.faults,
            now=now,
            allow_anonymous=allow_anonymous,
            bookmark_seconds=bookmark_seconds,
        )
        self.admissions = api.admissions
        self.admissions.add(self._within_quota)
        self.app: ASGIApp = api.app
        self.admin_token = self.add_token(_ADMINISTRATOR)
        self._listener = Listener(self.app, port=port, sock=sock)

    @property
    def url(self) -> str:
        """Return the address of the API, without a slash at the end."""
        return self._listener.url

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return self._listener.port

    def add_token(
        self,
        user: User,
        *,
        text: str | None = None,
        audiences: Iterable[str] = (API_AUDIENCE,),
        expires: float | None = None,
    ) -> str:
        """Return a token that proves to be *user*, for those *audiences*."""
        token = text or secrets.token_urlsafe(24)
        self.tokens.add(token, Token(user=user, audiences=tuple(audiences), expires=expires))
        return token

    def add_service_account_token(
        self,
        namespace: str,
        name: str,
        *,
        text: str | None = None,
        audiences: Iterable[str] = (API_AUDIENCE,),
        expires: float | None = None,
        extra: Mapping[str, tuple[str, ...]] | None = None,
    ) -> str:
        """Return a token of a service account, as one that is projected into a pod.

        Raises:
            ValueError: There is no such service account.
        """
        account = self.store.get(SERVICE_ACCOUNTS, namespace, name)
        if account is None:
            raise ValueError(f"no service account is called {namespace}/{name}")
        user = service_account(namespace, name, uid=account["metadata"]["uid"], extra=extra)
        return self.add_token(user, text=text, audiences=audiences, expires=expires)

    def write_kubeconfig(
        self, path: Path, *, token: str | None = None, namespace: str = "default"
    ) -> None:
        """*path* lets `kubectl` in: as the administrator, unless there is another *token*."""
        given = self.admin_token if token is None else token
        write_kubeconfig(path, self.url, "tidegate-dev", given, namespace=namespace)

    def _within_quota(self, request: AdmissionRequest) -> None:
        if request.resource is PODS and request.old_object is None:
            try:
                self._quotas.admit(request.namespace, request.object["metadata"]["name"])
            except QuotaError as error:
                raise StatusError(403, "Forbidden", str(error)) from error

    @override
    async def start(self) -> None:
        """Requests are being answered, and controllers at work."""
        if self.controllers is not None:
            self.controllers.start()
        await self._listener.start()

    @override
    async def stop(self) -> None:
        """Nothing of it is left but its objects, and every watch has ended."""
        if self.controllers is not None:
            self.controllers.stop()
        self.store.close()
        self.logs.close()
        await self._listener.stop()
