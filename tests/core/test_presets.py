"""What `use:` fills in, and what wins over it."""

from typing import Any, get_args

from tidegate.core.presets import PRESETS, SHARE_MODES, expand, expand_all, shares
from tidegate.core.settings import Action, Settings
from tidegate.core.share import Mode


def preset(name: str) -> Action:
    return Action.model_validate({**expand({"use": name}), "pathway": "p"})


def test_every_preset_is_a_valid_action() -> None:
    for name in PRESETS:
        assert preset(name).params


def test_the_presets_are_those_that_use_may_name() -> None:
    annotation: Any = Action.model_fields["use"].annotation
    assert set(get_args(get_args(annotation)[0])) == set(PRESETS)


def test_the_older_ids_are_aliases() -> None:
    ids = {name: preset(name).match for name in PRESETS}
    assert ids["k8s_deploy"] is not None
    assert ids["k8s_deploy"].action_id == ("k8s_deploy", "deploy_service")
    assert ids["k8s_scale"] is not None
    assert ids["k8s_scale"].action_id == ("k8s_scale", "scale_pods")
    assert ids["k8s_status"] is not None
    assert ids["k8s_status"].action_id == ("k8s_status", "get_status")


def test_the_services_are_called_where_the_agent_answers() -> None:
    paths = {n: r.path for n in PRESETS if (r := preset(n).request) is not None}
    assert paths == {
        "k8s_deploy": "/api/v1/deploy",
        "k8s_scale": "/api/v1/scale",
        "k8s_status": "/api/v1/status",
        "k8s_restart": "/api/v1/restart",
        "k8s_rollback": "/api/v1/rollback",
        "k8s_logs": "/api/v1/logs",
    }


def test_replicas_are_a_whole_number_from_nought() -> None:
    replicas = preset("k8s_scale").params["replicas"]
    assert (replicas.type, replicas.min, replicas.required) == ("integer", 0, True)


def test_what_a_rollback_and_logs_take_besides_is_optional() -> None:
    assert not preset("k8s_rollback").params["revision"].required
    logs = preset("k8s_logs").params
    assert not logs["container"].required
    assert not logs["tail"].required
    assert logs["tail"].type == "integer"


def test_shares_send_no_request() -> None:
    assert shares({"use": "s3_upload"})
    assert not shares({"use": "k8s_deploy"})
    assert not shares({"use": "nonsense"})
    assert not shares({"use": ["s3_upload"]})
    assert set(preset("s3_upload").params) == {"bucket", "key", "title", "alt_text"}


def test_there_is_a_preset_for_each_way_to_share() -> None:
    assert {use for use in PRESETS if shares({"use": use})} == set(SHARE_MODES)
    assert set(SHARE_MODES.values()) == set(Mode)


def test_the_images_of_a_gallery_are_described_by_their_own_names() -> None:
    params = preset("s3_share_gallery").params
    assert set(params) == {"bucket", "key", "title"}
    assert params["key"].required


def test_params_are_merged_key_by_key() -> None:
    own = {"use": "k8s_scale", "params": {"replicas": {"max": 9}, "team": {"required": True}}}
    params = expand(own)["params"]
    assert params["replicas"] == {"type": "integer", "required": True, "min": 0, "max": 9}
    assert params["team"] == {"required": True}
    assert params["deployment"] == {"required": True}


def test_an_own_key_wins_inside_a_param() -> None:
    own = {"use": "k8s_deploy", "params": {"image": {"required": False}}}
    assert expand(own)["params"]["image"] == {"required": False}


def test_match_and_request_replace_the_presets() -> None:
    own = {"use": "k8s_deploy", "match": {"command": ["/deploy"]}, "request": {"path": "/x"}}
    whole = expand(own)
    assert whole["match"] == {"command": ["/deploy"]}
    assert whole["request"] == {"path": "/x"}


def test_expanding_leaves_presets_and_files_alone() -> None:
    before = repr(PRESETS)
    document = {"actions": {"a": {"use": "k8s_deploy", "params": {"image": {"max_length": 9}}}}}
    expand_all(document)
    assert repr(PRESETS) == before
    assert document == {
        "actions": {"a": {"use": "k8s_deploy", "params": {"image": {"max_length": 9}}}}
    }


def test_what_has_the_wrong_shape_is_left_as_it_is() -> None:
    assert expand({"use": 5}) == {"use": 5}
    assert expand({"use": "k8s_deploy", "params": 5})["params"] == 5
    assert expand({"use": "k8s_deploy", "params": {"image": None}})["params"]["image"] is None
    assert expand_all({"actions": [1]}) == {"actions": [1]}
    assert expand_all({"actions": {"a": 1}}) == {"actions": {"a": 1}}


def test_no_preset_is_active_by_itself() -> None:
    assert Settings.model_fields["actions"].default == {}
