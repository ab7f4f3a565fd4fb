import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.values import a_route, an_interaction
from tidegate.core.model import Kind
from tidegate.core.routes import Router, Rule, Surface


def found_by(router: Router, trigger: str, kind: Kind = Kind.BLOCK_ACTIONS) -> str | None:
    route = router.find(an_interaction(kind=kind, trigger=trigger))
    return route.name if route else None


def test_an_exact_id_beats_the_longest_prefix_and_that_beats_a_shorter_one() -> None:
    router = Router(
        [
            a_route(name="any", patterns=("*",)),
            a_route(name="k8s", patterns=("k8s_*",)),
            a_route(name="deploys", patterns=("k8s_deploy*",)),
            a_route(name="deploy", patterns=("k8s_deploy",)),
        ]
    )
    assert found_by(router, "k8s_deploy") == "deploy"
    assert found_by(router, "k8s_deploy_prod") == "deploys"
    assert found_by(router, "k8s_scale") == "k8s"
    assert found_by(router, "hello") == "any"


def test_what_no_route_names_is_not_found() -> None:
    router = Router([a_route()])
    for trigger in ("", "k8s_deploy ", "K8S_DEPLOY", "k8s_deployx", "xk8s_deploy"):
        assert found_by(router, trigger) is None


def test_one_route_may_have_many_names() -> None:
    router = Router([a_route(patterns=("k8s_deploy", "deploy_service"))])
    assert found_by(router, "deploy_service") == "deploy"


def test_a_star_inside_a_pattern_is_only_a_star() -> None:
    router = Router([a_route(patterns=("k8s*deploy",))])
    assert found_by(router, "k8s_deploy") is None
    assert found_by(router, "k8s*deploy") == "deploy"


@pytest.mark.parametrize(
    ("kind", "surface"),
    [
        (Kind.BLOCK_ACTIONS, Surface.ACTION_ID),
        (Kind.COMMAND, Surface.COMMAND),
        (Kind.SHORTCUT, Surface.SHORTCUT),
        (Kind.MESSAGE_ACTION, Surface.SHORTCUT),
        (Kind.VIEW_SUBMISSION, Surface.VIEW),
    ],
)
def test_each_kind_is_matched_on_its_own_surface_alone(kind: Kind, surface: Surface) -> None:
    routes = [a_route(name=one.value, surface=one, patterns=("same",)) for one in Surface]
    assert found_by(Router(routes), "same", kind) == surface.value
    others = [route for route in routes if route.surface is not surface]
    assert found_by(Router(others), "same", kind) is None


@pytest.mark.parametrize(
    "kind",
    [Kind.VIEW_CLOSED, Kind.BLOCK_SUGGESTION, Kind.EVENT, Kind.URL_VERIFICATION, Kind.OTHER],
)
def test_what_is_no_request_is_never_routed(kind: Kind) -> None:
    routes = [a_route(name=one.value, surface=one, patterns=("*", "same")) for one in Surface]
    assert found_by(Router(routes), "same", kind) is None


@given(st.text(max_size=20))
def test_no_route_matches_our_own_buttons(rest: str) -> None:
    router = Router([a_route(patterns=("*", "tidegate:check", "tidegate:*"))])
    assert found_by(router, f"tidegate:{rest}") is None


@given(
    st.lists(st.text("ab*", min_size=1, max_size=4), max_size=6, unique=True),
    st.text("ab", max_size=5),
)
def test_the_route_found_is_the_best_match_whatever_the_order(
    patterns: list[str], trigger: str
) -> None:
    routes = [a_route(name=pattern, patterns=(pattern,)) for pattern in patterns]
    prefixes = [p for p in patterns if p.endswith("*") and trigger.startswith(p[:-1])]
    best = trigger if trigger in patterns else max(prefixes, key=len, default=None)
    assert found_by(Router(routes), trigger) == best
    assert found_by(Router(reversed(routes)), trigger) == best


def test_anyone_is_meant_only_by_any() -> None:
    assert Rule(users=frozenset({"any"})).anyone
    assert not Rule(users=frozenset({"U0ANY"})).anyone
    assert not Rule(channels=frozenset({"any"})).anyone
