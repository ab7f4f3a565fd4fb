"""What may stand in the agent's configuration file: every key, once, for parser and schema."""

from typing import Any, Final

from tidegate_agent.entry.shapes import (
    Choice,
    Flag,
    Key,
    Keys,
    Many,
    Named,
    Text,
    Whole,
)

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAMESPACE: Final = Text(pattern=_LABEL, meant="a namespace's name", max_length=63)
_ROLE: Final = Text(
    pattern=_LABEL, meant="a name of lower-case letters, digits and hyphens", max_length=63
)
_PATH: Final = Text(pattern=r"[^\x00-\x1f]+", meant="a file's path", max_length=4096)
_HOST: Final = Text(pattern=r"[A-Za-z0-9.:-]+", meant="an address to listen on")
_WORD: Final = Text(pattern=r"[!-~]+", meant="a word without spaces", max_length=200)
_SUBJECT: Final = Text(
    pattern=r"slack:[A-Za-z0-9]{1,40}:[A-Za-z0-9]{1,40}",
    meant="a person as slack:TEAM:USER",
    max_length=100,
)
_GROUP: Final = Text(
    pattern=r"[A-Za-z0-9_.:@/-]+", meant="a group's id, such as S0DEVS", max_length=100
)
_USER: Final = Text(
    pattern=r"(?!system:)[A-Za-z0-9_][A-Za-z0-9_.:@/+-]*",
    meant="a user's name in the cluster, none of system:",
    max_length=128,
)
_ACCOUNT: Final = Text(
    pattern=rf"{_LABEL}/[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?",
    meant="a service account as NAMESPACE/NAME",
    max_length=320,
)
_REGISTRY: Final = Text(
    pattern=r"\*|[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9._/-]*[a-z0-9])?",
    meant="a registry, or a part of one such as registry.example.com/team",
    max_length=255,
)
_PORT: Final = Whole(least=1, most=65_535)

_TLS: Final = Keys(
    optional=True,
    keys={
        "cert": Key(shape=_PATH, says="the PEM file with the certificate chain"),
        "key": Key(shape=_PATH, says="the PEM file with its private key"),
        "client_ca": Key(
            shape=_PATH,
            says="the PEM file with the authorities of clients; with it, only who shows "
            "a certificate of theirs gets in",
            default=None,
        ),
    },
)
_LISTEN: Final = Keys(
    keys={
        "host": Key(shape=_HOST, says="the address to listen on", default="0.0.0.0"),  # noqa: S104
        "port": Key(shape=_PORT, says="the port", default=8443, environment="TIDEGATE_AGENT_PORT"),
        "tls": Key(shape=_TLS, says="the certificate; plain HTTP without it", default=None),
        "drain_seconds": Key(
            shape=Whole(least=0, most=300),
            says="how long requests in flight may take when the agent is told to stop",
            default=10,
        ),
    }
)
_METRICS: Final = Keys(
    keys={
        "host": Key(
            shape=_HOST,
            says="the address for /metrics, /healthz and /readyz; none of them asks who calls",
            default="127.0.0.1",
            environment="TIDEGATE_AGENT_METRICS_HOST",
        ),
        "port": Key(shape=_PORT, says="the port", default=9090),
    }
)
_IDENTITY: Final = Keys(
    keys={
        "audience": Key(
            shape=_WORD,
            says="the name that statements are addressed to: the audience of the gateway's "
            "pathway, or the pathway's name",
            environment="TIDEGATE_AGENT_AUDIENCE",
        ),
        "issuer": Key(
            shape=_WORD, says="who makes the statements: the gateway's issuer", default="tidegate"
        ),
        "jwks": Key(
            shape=_PATH,
            says="the file that `tidegate identity jwks` printed: the keys of the gateway",
            environment="TIDEGATE_AGENT_JWKS",
        ),
    }
)
_TOKEN_REVIEW: Final = Keys(
    optional=True,
    keys={
        "audiences": Key(
            shape=Many(of=_WORD, least=1, most=10),
            says="what a caller's service account token has to be meant for; one suffices",
        ),
        "service_accounts": Key(
            shape=Many(of=_ACCOUNT, least=1, most=100),
            says="the service accounts that may call, as NAMESPACE/NAME",
        ),
    },
)
_ROLE_KEYS: Final = Keys(
    keys={
        "namespaces": Key(
            shape=Many(of=_NAMESPACE, least=1),
            says="where it counts; in all of `namespaces` if it does not say",
            default=None,
        ),
        "groups": Key(
            shape=Many(of=_GROUP), says="the Slack user groups that have it, by id", default=[]
        ),
        "people": Key(
            shape=Many(of=_SUBJECT),
            says="the people who have it, as slack:TEAM:USER",
            default=[],
        ),
    }
)
_RECORDS: Final = Keys(
    keys={
        "namespace": Key(
            shape=_NAMESPACE,
            says="the agent's own namespace, where the records of operations are",
            default="tidegate",
            environment="POD_NAMESPACE",
        ),
        "retention_hours": Key(
            shape=Whole(least=24, most=365 * 24),
            says="how long the record of an ended operation is kept",
            default=168,
        ),
        "most": Key(
            shape=Whole(least=10, most=100_000),
            says="how many records of ended operations are kept at most",
            default=2000,
        ),
    }
)
_LOGS: Final = Keys(
    keys={
        "max_lines": Key(
            shape=Whole(least=1, most=5000),
            says="the most lines that one request shows",
            default=500,
        ),
        "max_bytes": Key(
            shape=Whole(least=1024, most=1_048_576),
            says="the most bytes of a log that one request reads",
            default=65_536,
        ),
    }
)
_KUBERNETES: Final = Keys(
    keys={
        "kubeconfig": Key(
            shape=_PATH,
            says="the kubeconfig to use; else, in a pod, its service account, and elsewhere "
            "KUBECONFIG or ~/.kube/config",
            default=None,
        ),
        "context": Key(
            shape=Text(pattern=r"[^\x00-\x1f]+", meant="the name of a context"),
            says="the context in the kubeconfig; the current one if it does not say",
            default=None,
        ),
        "timeout_seconds": Key(
            shape=Whole(least=1, most=120),
            says="how long the API server may take to answer",
            default=15,
        ),
    }
)

FILE: Final = Keys(
    keys={
        "version": Key(shape=Choice((1,)), says="the version of this format", default=1),
        "listen": Key(shape=_LISTEN, says="where Tidegate calls the agent", default={}),
        "metrics": Key(shape=_METRICS, says="where monitoring calls the agent", default={}),
        "identity": Key(
            shape=_IDENTITY, says="whose statements of who asked are taken", default={}
        ),
        "token_review": Key(
            shape=_TOKEN_REVIEW,
            says="which callers in the cluster have to show a token as well",
            default=None,
        ),
        "namespaces": Key(
            shape=Many(of=_NAMESPACE, least=1),
            says="the namespaces that the agent serves: no role reaches further",
            environment="TIDEGATE_AGENT_NAMESPACES",
        ),
        "default_namespace": Key(
            shape=_NAMESPACE,
            says="where a request acts that names none; else where the person's one role is",
            default=None,
        ),
        "roles": Key(
            shape=Named(name=_ROLE, of=_ROLE_KEYS),
            says="who may act where: role NAME acts in the cluster as group tidegate:NAME",
            default={},
        ),
        "individuals": Key(
            shape=Named(name=_SUBJECT, of=_USER),
            says="the people who act in the cluster as a user of their own, by slack:TEAM:USER",
            default={},
        ),
        "impersonate": Key(
            shape=Flag(),
            says="whether the agent acts as the person's role; else as itself, once a "
            "SubjectAccessReview allows it for them",
            default=True,
        ),
        "registries": Key(
            shape=Many(of=_REGISTRY),
            says="where images may come from: registries, parts of them, or * for anywhere; if "
            "none, only the repository that a container's image is from",
            default=[],
        ),
        "require_digest": Key(
            shape=Flag(), says="whether an image has to name a digest", default=False
        ),
        "max_replicas": Key(
            shape=Whole(least=0, most=10_000),
            says="the most replicas that anybody can scale to",
            default=50,
        ),
        "rollout_seconds": Key(
            shape=Whole(least=1, most=86_400),
            says="after so long a change that is not finished has failed, where Kubernetes does "
            "not say so itself",
            default=900,
        ),
        "records": Key(shape=_RECORDS, says="the records of operations", default={}),
        "logs": Key(shape=_LOGS, says="how much of a log is shown", default={}),
        "kubernetes": Key(shape=_KUBERNETES, says="how the API server is reached", default={}),
    }
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file; what only the parser can tell is not in it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate agent configuration",
        **FILE.schema(),
    }
