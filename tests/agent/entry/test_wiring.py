"""Which credentials the agent takes, of those that it could have."""

import json
from pathlib import Path

import pytest

from tidegate_agent.adapters.kubernetes import CredentialsError
from tidegate_agent.entry import wiring
from tidegate_agent.entry.settings import EXAMPLE

POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def _kubeconfig(path: Path, namespace: str) -> Path:
    server = {"name": "c", "cluster": {"server": "https://127.0.0.1:6443"}}
    context = {"cluster": "c", "user": "u", "namespace": namespace}
    content = {
        "current-context": "c",
        "clusters": [server],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": context}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def _namespace(folder: Path, environ: dict[str, str], kubernetes: str = "") -> str:
    (folder / "agent.yaml").write_text(EXAMPLE + kubernetes)
    configuration = wiring.load(folder / "agent.yaml", environ)
    return wiring.credentials(configuration).namespace


def test_the_kubeconfig_that_is_named_counts_before_all_others(tmp_path: Path) -> None:
    _kubeconfig(tmp_path / "named", "by-name")
    environ = {**POD, "KUBECONFIG": str(_kubeconfig(tmp_path / "other", "by-variable"))}
    named = "kubernetes: {kubeconfig: named}\n"
    assert _namespace(tmp_path, environ, named) == "by-name"


def test_in_a_pod_its_service_account_counts(tmp_path: Path) -> None:
    environ = {**POD, "KUBECONFIG": str(_kubeconfig(tmp_path / "other", "by-variable"))}
    with pytest.raises(CredentialsError, match="automountServiceAccountToken"):
        _namespace(tmp_path, environ)


def test_elsewhere_it_is_kubectls_own(tmp_path: Path) -> None:
    _kubeconfig(tmp_path / ".kube" / "config", "by-home")
    environ = {"HOME": str(tmp_path)}
    assert _namespace(tmp_path, environ) == "by-home"
    environ["KUBECONFIG"] = str(_kubeconfig(tmp_path / "other", "by-variable"))
    assert _namespace(tmp_path, environ) == "by-variable"


def test_the_file_is_the_one_given_then_the_environments_then_the_one_here() -> None:
    variable = {"TIDEGATE_AGENT_CONFIG": "b"}
    assert wiring.file_of("a", variable) == Path("a")
    assert wiring.file_of(None, variable) == Path("b")
    assert wiring.file_of(None, {}) == Path("agent.yaml")
