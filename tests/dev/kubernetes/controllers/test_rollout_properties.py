"""Whatever people do to a Deployment, and whenever: what always holds, and where it ends."""

from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given, settings

from tests.dev.kubernetes.controllers.stage import Object, Stage, image, ready, revision
from tests.examples import examples

TAGS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0")
MOMENTS = st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0])
ACTS = st.one_of(
    st.tuples(st.just("scale"), st.integers(0, 8)),
    st.tuples(st.just("set_image"), st.sampled_from(TAGS)),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("undo"), st.integers(1, 5)),
)
BUDGETS = st.sampled_from([("25%", "25%"), (1, 0), (0, 1), (2, 1), ("50%", 2)])


@dataclass
class Watchman:
    """Looks whenever nothing is due, and remembers what was."""

    stage: Stage
    surge: int | str
    unavailable: int | str
    served: int = 0
    wanted: int = 0
    revisions: dict[int, str] = field(default_factory=dict)

    def room(self, value: int | str, *, up: bool) -> int:
        if isinstance(value, str):
            share = int(value[:-1]) * self.wanted
            return -(-share // 100) if up else share // 100
        return value

    def look(self) -> None:
        deployment = self.stage.deployment()
        before, self.wanted = self.wanted, deployment["spec"]["replicas"]
        self.look_at_sizes()
        self.look_at_service(resized=before != self.wanted)
        self.look_at_revisions(deployment)

    def look_at_sizes(self) -> None:
        surge = self.room(self.surge, up=True)
        asked = sum(entry["spec"]["replicas"] for entry in self.stage.replica_sets())
        assert asked <= self.wanted + surge
        assert len(self.stage.pods()) <= self.wanted + surge

    def look_at_service(self, *, resized: bool) -> None:
        """Nothing that serves is taken away beyond what may be missing.

        Whoever changes the size in the middle of a rollout takes from each ReplicaSet its share,
        whether its pods serve or not.
        https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling
        """
        unavailable = self.room(self.unavailable, up=False)
        if unavailable == self.room(self.surge, up=True) == 0:
            unavailable = 1
        serving = sum(map(ready, self.stage.pods()))
        assert resized or serving >= min(self.served, self.wanted - unavailable)
        self.served = serving

    def look_at_revisions(self, deployment: Object) -> None:
        found = self.stage.replica_sets()
        numbers = [revision(entry) for entry in found]
        assert len(set(numbers)) == len(numbers)
        if found:
            assert revision(deployment) <= numbers[-1]
            assert numbers[-1] >= max(self.revisions, default=0)
        for entry in found:
            said = self.revisions.setdefault(revision(entry), entry["metadata"]["name"])
            assert said == entry["metadata"]["name"]


def act_on(stage: Stage, act: tuple[str, Any]) -> None:
    verb, value = act
    if verb == "undo" and stage.deployment()["spec"].get("paused"):
        return  # kubectl refuses
    getattr(stage, verb)(value)


@settings(max_examples=examples(60))
@given(
    replicas=st.integers(0, 6),
    budget=BUDGETS,
    acts=st.lists(st.tuples(MOMENTS, ACTS), max_size=12),
    seed=st.integers(0, 3),
)
@example(
    replicas=0,
    budget=("25%", "25%"),
    acts=[(0.0, ("scale", 4)), (0.75, ("set_image", "1.1.0")), (0.0, ("scale", 3))],
    seed=0,
)
def test_a_deployment_keeps_its_promises_and_settles_as_it_was_told(
    replicas: int,
    budget: tuple[int | str, int | str],
    acts: list[tuple[float, tuple[str, Any]]],
    seed: int,
) -> None:
    stage = Stage(seed=seed)
    surge, unavailable = budget
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    stage.deploy(replicas=replicas, strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    watchman = Watchman(stage, surge, unavailable)
    stage.wait(0.2, watchman.look)
    for pause, act in acts:
        stage.wait(pause, watchman.look)
        act_on(stage, act)
    stage.pause(False)
    stage.wait(120, watchman.look)

    deployment = stage.deployment()
    meant = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    wanted = deployment["spec"]["replicas"]
    assert meant in map(image, TAGS)
    assert [pod["spec"]["containers"][0]["image"] for pod in stage.pods()] == [meant] * wanted
    assert sum(map(ready, stage.pods(going=True))) == wanted
    active = [entry for entry in stage.replica_sets() if entry["spec"]["replicas"]]
    assert active == stage.replica_sets()[-1:] or not wanted
    assert revision(deployment) == revision(stage.replica_sets()[-1])
    assert stage.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]


@settings(max_examples=examples(30))
@given(
    acts=st.lists(
        st.tuples(MOMENTS, st.sampled_from([*TAGS, "missing", "crash", "slow"])), max_size=6
    )
)
def test_bad_images_never_cost_availability(acts: list[tuple[float, str]]) -> None:
    stage = Stage()
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    stage.deploy(strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    stage.wait(5)

    def look() -> None:
        assert sum(map(ready, stage.pods())) >= 3
        assert len(stage.pods()) <= 4

    for pause, tag in acts:
        stage.set_image(tag)
        stage.wait(pause, look)
    stage.set_image("9.9.9")
    stage.wait(60, look)
    assert {pod["spec"]["containers"][0]["image"] for pod in stage.pods()} == {image("9.9.9")}
    assert stage.condition("Progressing") == ("True", "NewReplicaSetAvailable")
