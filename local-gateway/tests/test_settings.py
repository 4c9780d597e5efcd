"""The settings of .chalice/config.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_gateway.settings import InvalidSettings, read_settings, websocket_api


def write(folder: Path, settings: Any) -> Path:
    (folder / ".chalice").mkdir()
    (folder / ".chalice" / "config.json").write_text(json.dumps(settings))
    return folder


def stage(**settings: Any) -> dict[str, Any]:
    return {"stages": {"dev": settings}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"app_name": 5}, "config.json: app_name is missing"),
        ({"websocket_api": None}, "websocket_api must be an object"),
        ({"websocket_api": {"authoriser": "a"}}, "websocket_api has no setting 'authoriser'"),
        (
            {"websocket_api": {"authorizer_function": []}},
            "websocket_api.authorizer_function must be a string",
        ),
        (
            {"websocket_api": {"route_responses": "$default"}},
            "websocket_api.route_responses must be a list",
        ),
        (
            {"websocket_api": {"route_responses": ["$connect"]}},
            'websocket_api.route_responses must be [] or ["$default"]',
        ),
        (
            {"websocket_api": {"identity_sources": 5}},
            "websocket_api.identity_sources must be a list",
        ),
        (
            stage(websocket_api={"authoriser": "a"}),
            "stages.dev.websocket_api has no setting 'authoriser'",
        ),
        (
            stage(websocket_api={"route_responses": ["$connect"]}),
            "stages.dev.websocket_api.route_responses must be",
        ),
        (
            stage(lambda_functions={"a": {"websocket_api": {}}}),
            "stages.dev.lambda_functions.a.websocket_api has no effect for a function",
        ),
        (
            stage(local_gateway={"aws": {}}),
            "stages.dev.local_gateway has no effect: it applies to all stages",
        ),
        ({"stages": []}, "stages must be an object"),
        ({"stages": {"dev": "x"}}, "stages.dev must be an object"),
        (stage(lambda_functions=[]), "stages.dev.lambda_functions must be an object"),
        ({"lambda_timeout": "10"}, "lambda_timeout must be a whole number from 1 to 900"),
        ({"lambda_timeout": float("nan")}, "lambda_timeout must be a whole number from 1 to 900"),
        (
            stage(lambda_functions={"tidy": {"lambda_timeout": 901}}),
            "stages.dev.lambda_functions.tidy.lambda_timeout must be a whole number from 1 to 900",
        ),
        (
            stage(lambda_memory_size=True),
            "stages.dev.lambda_memory_size must be a whole number from 1 to 10240",
        ),
        (
            stage(environment_variables=["A"]),
            "stages.dev.environment_variables must be an object",
        ),
        ({"environment_variables": {"A=B": "x"}}, "'A=B' isn't the name of a variable"),
        ({"environment_variables": {"A": 5}}, "environment_variables.A must be a string"),
        ({"environment_variables": {"A": "\0"}}, "environment_variables.A must be a string"),
    ],
)
def test_an_invalid_setting_is_explained(tmp_path: Path, settings: Any, said: str) -> None:
    with pytest.raises(InvalidSettings) as error:
        read_settings(write(tmp_path, {"app_name": "x", **settings}))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_of_chalice_that_the_gateway_ignores_are_accepted(tmp_path: Path) -> None:
    settings = {
        "version": "2.0",
        "app_name": "x",
        "manage_iam_role": False,
        "websocket_api": {"route_responses": ["$default"]},
        "environment_variables": {"A": "1"},
        "stages": {"dev": {"lambda_functions": {"a": {"lambda_timeout": 900}}}},
    }
    assert read_settings(write(tmp_path, settings)) == settings


def test_a_stage_overrides_single_members_of_the_projects_websocket_api(tmp_path: Path) -> None:
    settings = {
        "app_name": "x",
        "websocket_api": {"authorizer_function": "a", "route_responses": ["$default"]},
        "stages": {
            "dev": {"websocket_api": {"authorizer_function": "b"}},
            "open": {"websocket_api": {"authorizer_function": None}},
            "plain": {},
        },
    }
    read = read_settings(write(tmp_path, settings))
    members = {
        stage: (api.get("authorizer_function"), api["route_responses"])
        for stage in ("dev", "open", "plain", "unknown")
        for api in [websocket_api(read, stage)]
    }
    assert members == {
        "dev": ("b", ["$default"]),
        "open": (None, ["$default"]),
        "plain": ("a", ["$default"]),
        "unknown": ("a", ["$default"]),
    }


def test_identity_sources_without_an_authorizer_are_refused_in_the_served_stage() -> None:
    settings = {
        "websocket_api": {"identity_sources": ["route.request.querystring.token"]},
        "stages": {"dev": {"websocket_api": {"authorizer_function": "a"}}},
    }
    assert websocket_api(settings, "dev")["authorizer_function"] == "a"
    with pytest.raises(InvalidSettings) as error:
        websocket_api(settings, "local")
    assert str(error.value) == (
        "websocket_api.identity_sources has no effect without websocket_api.authorizer_function "
        "(stage local)"
    )
