"""What a click does in the cluster, in a real browser: through the real agent, as a real role."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Workspace, keep
from tests.e2e.test_first_click import be, journey, message, press, staging

pytestmark = pytest.mark.xdist_group("browser")

DEPLOYMENTS = "apis/apps/v1/namespaces/staging/deployments"


def ask(page: Page, workspace: Workspace, path: str) -> Any:
    """What the Kubernetes API answers whoever uses the kubeconfig that the drawer names."""
    line = workspace.state(page)["cluster"]["kubectl"]
    found = re.fullmatch(r"KUBECONFIG=(\S+) kubectl get pods -n staging", line)
    assert found is not None
    server = urlsplit(json.loads(Path(found[1]).read_text())["clusters"][0]["cluster"]["server"])
    proof = f"{server.username}:{unquote(server.password or '')}"
    headers = {"Authorization": f"Basic {base64.b64encode(proof.encode()).decode()}"}
    url = f"http://{server.hostname}:{server.port}/{path}"
    response = page.request.get(url, headers=headers)
    assert response.ok, response.text()
    return response.json()


def image(page: Page, workspace: Workspace) -> str:
    spec = ask(page, workspace, f"{DEPLOYMENTS}/web")["spec"]["template"]["spec"]
    return str(spec["containers"][0]["image"])


def replicas(page: Page, workspace: Workspace, namespace: str) -> int:
    path = f"apis/apps/v1/namespaces/{namespace}/deployments/web"
    return int(ask(page, workspace, path)["spec"]["replicas"])


def step(page: Page, label: str) -> Locator:
    return journey(page).get_by_role("listitem").filter(has_text=label)


def drawer(page: Page) -> Locator:
    page.get_by_role("button", name="Cluster").click()
    return page.get_by_role("region", name="Cluster")


def web(page: Page) -> Locator:
    return page.get_by_role("region", name="staging/web")


def test_deploy_changes_the_deployment_in_the_cluster_as_the_role_of_who_clicked(
    page: Page, workspace: Workspace
) -> None:
    assert image(page, workspace) == "registry.example.com/web:2.4.0"
    drawer(page)
    press(staging(page), "Deploy")
    expect(staging(page)).to_contain_text("web in staging runs registry.example.com/web:2.4.1")
    assert image(page, workspace) == "registry.example.com/web:2.4.1"
    expect(step(page, "agent verified")).to_contain_text("U0ADA")
    expect(step(page, "acts as")).to_contain_text("tidegate:deployer")
    expect(step(page, "changed")).to_contain_text("Deployment web: image 2.4.0 → 2.4.1")
    expect(step(page, "rolling out")).to_contain_text("3 of 3")
    annotations = ask(page, workspace, f"{DEPLOYMENTS}/web")["metadata"]["annotations"]
    assert any("U0ADA" in value for value in annotations.values())
    keep(page, "cluster-deployed")


def test_the_drawer_shows_pods_come_and_go(page: Page) -> None:
    shell = drawer(page)
    expect(shell).to_contain_text("kubectl get pods -n staging")
    expect(shell.get_by_role("status")).to_have_text("agent is up")
    for name in ("production/orders-db", "kube-system/log-shipper"):
        expect(page.get_by_role("region", name=name)).to_contain_text("healthy")
    pods = web(page).get_by_role("list", name="Pods").get_by_role("listitem")
    expect(pods).to_have_count(3)
    before = pods.all_inner_texts()
    press(staging(page), "Deploy")
    expect(web(page)).to_contain_text("creating")
    keep(page, "cluster-rolling-out")
    expect(web(page)).to_contain_text("healthy")
    expect(pods).to_have_count(3)
    expect(pods).to_contain_text(["2.4.1"] * 3)
    assert not set(before) & set(pods.all_inner_texts())
    web(page).locator("summary").click()
    expect(web(page).get_by_role("list", name="Revisions")).to_contain_text("2.4.1")
    expect(web(page).get_by_role("list", name="Events")).to_contain_text("Scaled up replica set")
    keep(page, "cluster-drawer")


def test_an_image_that_cannot_be_pulled_is_told_with_its_reason_and_rolled_back(
    page: Page, workspace: Workspace
) -> None:
    drawer(page)
    two = message(page, "two that do not work out")
    press(two, "Deploy a broken image")
    expect(web(page)).to_contain_text("no image")
    expect(journey(page)).to_contain_text("ImagePullBackOff")
    expect(two).to_contain_text("cannot be pulled (ImagePullBackOff)")
    expect(step(page, "answered")).to_contain_text("failed", timeout=30_000)
    expect(two).to_contain_text("The service reports that it failed")
    expect(two).to_contain_text("there is none of that name")
    expect(two).to_contain_text("cannot be pulled (ImagePullBackOff)")
    keep(page, "cluster-broken-image-light")
    page.emulate_media(color_scheme="dark")
    keep(page, "cluster-broken-image-dark")
    assert image(page, workspace).endswith("web:2.5.0-missing")
    press(staging(page), "Roll back")
    expect(staging(page)).to_contain_text("web in staging is back at revision 1")
    expect(step(page, "changed")).to_contain_text("image 2.5.0-missing → 2.4.0")
    assert image(page, workspace) == "registry.example.com/web:2.4.0"
    expect(web(page)).to_contain_text("healthy")


def test_what_a_role_may_not_do_the_cluster_refuses_and_names_the_right(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    page, workspace = shared_page, shared_workspace
    two = message(page, "two that do not work out")
    press(two, "Scale production web")
    right = "lacks the right to patch deployments.apps/scale in production"
    expect(two).to_contain_text(right)
    expect(two).to_contain_text("Nothing was done")
    refused = step(page, "refused by the cluster")
    expect(refused).to_contain_text("may not patch deployments/scale in production")
    expect(step(page, "acts as")).to_contain_text("tidegate:deployer")
    keep(page, "cluster-refused-light")
    page.emulate_media(color_scheme="dark")
    keep(page, "cluster-refused-dark")
    assert replicas(page, workspace, "production") == 3
    be(page, "Grace")
    press(two, "Scale production web")
    expect(two).to_contain_text("web in production has 5 pods, all ready")
    expect(step(page, "acts as")).to_contain_text("tidegate:sre")
    expect(step(page, "changed")).to_contain_text("replicas 3 → 5")
    assert replicas(page, workspace, "production") == 5


@pytest.mark.long
def test_a_rollback_brings_the_revision_before(page: Page, workspace: Workspace) -> None:
    press(staging(page), "Deploy")
    expect(staging(page)).to_contain_text("web in staging runs registry.example.com/web:2.4.1")
    press(staging(page), "Roll back")
    expect(staging(page)).to_contain_text("web in staging is back at revision 1")
    assert image(page, workspace) == "registry.example.com/web:2.4.0"
    found = ask(page, workspace, f"{DEPLOYMENTS}/web")["metadata"]["annotations"]
    assert found["deployment.kubernetes.io/revision"] == "3"


def test_logs_are_shown_in_the_message(shared_page: Page) -> None:
    press(staging(shared_page), "Logs")
    expect(staging(shared_page)).to_contain_text("INFO listening on :8080")
    keep(shared_page, "cluster-logs")


@pytest.mark.long
def test_a_restart_replaces_every_pod(shared_page: Page) -> None:
    press(staging(shared_page), "Restart")
    expect(staging(shared_page)).to_contain_text("web in staging was restarted")
    expect(step(shared_page, "changed")).to_contain_text("every pod anew")


@pytest.mark.long
def test_containers_that_crash_are_told_as_such(page: Page) -> None:
    drawer(page)
    page.get_by_role("switch", name="rollout fails").click()
    expect(page.get_by_role("switch", name="rollout fails")).to_be_checked()
    press(staging(page), "Restart")
    expect(journey(page)).to_contain_text("CrashLoopBackOff")
    expect(staging(page)).to_contain_text("The container web keeps ending with exit code 1")
    expect(web(page)).to_contain_text("crashing")
    keep(page, "cluster-crashing")


@pytest.mark.long
def test_an_agent_that_is_killed_goes_on_where_it_was(page: Page, workspace: Workspace) -> None:
    drawer(page)
    press(staging(page), "Deploy")
    expect(web(page)).to_contain_text("creating")
    down = page.get_by_role("switch", name="service down")
    down.click()
    expect(page.get_by_text("agent is down")).to_be_visible()
    down.click()
    expect(staging(page)).to_contain_text(
        "web in staging runs registry.example.com/web:2.4.1", timeout=30_000
    )
    state = workspace.state(page)
    assert state["agent"]["restarts"] == 1
    assert state["cluster"]["effects"] == {"distinct": 1, "performed": 1}
