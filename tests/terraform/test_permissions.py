"""Permissions of the functions' roles, tested by stories on a stack that enforces IAM."""

from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest
from websockets.exceptions import InvalidStatus

from chalicelib.outcomes import Delivery
from tests.stories.conftest import open_client  # noqa: F401
from tests.stories.target import Client, Target, refused_with, until
from tests.stories.test_a_session import count
from tests.terraform import caption_stories, long_sessions
from tests.terraform.enforced import SCHEDULED, Enforced
from tests.terraform.long_sessions import Message, Scene, is_gone, join

pytestmark = pytest.mark.timeout(300)  # Applying the stack takes half a minute.

UNSEEN = {"logs:CreateLogStream", "logs:PutLogEvents", "translate:TranslateText"}
"""Actions that ministack 1.5.33 doesn't check.

AWS's Lambda writes logs under a function's role. ministack keeps them without it. A stand-in
translates in its place.
"""

Story = Callable[[Scene], None]


@pytest.fixture(scope="module")
def target(emulated: Target) -> Target:
    return emulated


@pytest.fixture(scope="module")
def token(target: Target) -> str:
    return target.tokens()["IdToken"]


@pytest.fixture
def scene(
    enforced: Enforced,
    target: Target,
    open_client: Callable[..., Client],  # noqa: F811
    token: str,
) -> Scene:
    return Scene(enforced, target, open_client, token)


@pytest.mark.parametrize(
    "story",
    [
        long_sessions.by_frames,
        long_sessions.by_connect_urls,
        long_sessions.by_refused_handshakes,
        long_sessions.by_pauses,
        long_sessions.by_coming_back,
        long_sessions.by_coming_back_in_frames,
        long_sessions.by_closing_cleanly,
        long_sessions.by_growing_old,
        long_sessions.by_losing_the_speaker,
        long_sessions.by_an_end_that_nobody_told,
        long_sessions.by_an_end_that_reaches_nobody_at_first,
        long_sessions.by_a_bad_token,
        long_sessions.by_being_refused,
        long_sessions.by_an_outcome_for_a_connection_that_is_gone,
        caption_stories.by_a_speaker,
        caption_stories.by_a_pipeline,
        caption_stories.by_a_slice,
        caption_stories.by_the_interpreter,
        caption_stories.by_the_interpreter_without_translations,
    ],
)
def test_a_story_of_a_long_session_completes(scene: Scene, story: Story) -> None:
    story(scene)


def test_a_failed_creation_leaves_no_session(scene: Scene) -> None:
    before = scene.target.records("SESSIONS_TABLE")
    with scene.enforced.throttling("connect", "dynamodb:PutItem", "connections"):
        wanted = {"action": "createSession", "sourceLanguage": "en", "token": scene.token}
        assert refused_with(scene.target, **wanted) == scene.target.status(503)
    assert len(scene.target.records("SESSIONS_TABLE")) == len(before)


def test_a_failed_join_releases_the_seat(scene: Scene) -> None:
    speaker, created = scene.create()
    with scene.enforced.throttling("connect", "dynamodb:UpdateItem", "connections"):
        assert refused_with(scene.target, **join(created)) == scene.target.status(503)
    assert count(speaker) == 0


def test_a_post_to_a_closed_speaker_interrupts_the_session(scene: Scene) -> None:
    enforced = scene.enforced
    speaker, created = scene.create()
    listener, _ = scene.join(created)
    outcome = Delivery(created["connectionId"], enforced.callback_url, [created])
    with enforced.throttling("disconnect", "dynamodb:UpdateItem", "connections"):
        speaker.close()
        until(lambda: is_gone(enforced, created["connectionId"]))
        enforced.invoke("outcome", outcome.to_event())
        assert listener.receive()["type"] == "sessionInterrupted"


def test_the_next_sweep_continues_one_that_ran_out_of_time(scene: Scene) -> None:
    def cursors() -> list[Message]:
        records = scene.target.records("SESSIONS_TABLE")
        return [it for it in records if it["sessionId"] == {"S": "#sweep"}]

    scene.create()
    scene.create()
    with scene.enforced.handler("sweep", "hurried.sweep"):
        scene.enforced.invoke("sweep", SCHEDULED)
    assert len(cursors()) == 1
    scene.enforced.invoke("sweep", SCHEDULED)
    assert cursors() == []


def test_stories_use_every_permission_of_every_role(enforced: Enforced) -> None:
    calls = enforced.calls()
    unused = {
        (function, action, resource)
        for function, action, resource in enforced.allowed()
        if action not in UNSEEN
        and not any(
            (function, action) == call[:2] and fnmatchcase(call[2], resource) for call in calls
        )
    }
    assert unused == set(), "no story uses these permissions; run the whole file"


def test_roles_allow_every_call_of_the_stories(enforced: Enforced) -> None:
    allowed = enforced.allowed()
    refused = {
        call
        for call in enforced.calls()
        if not any(call[:2] == it[:2] and fnmatchcase(call[2], it[2]) for it in allowed)
    }
    assert refused == set()


@pytest.mark.parametrize(
    ("function", "action", "resource", "story"),
    [
        ("authorizer", "dynamodb:UpdateItem", "rate_limits", long_sessions.by_a_bad_token),
        ("connect", "dynamodb:PutItem", "sessions", long_sessions.by_connect_urls),
        ("connect", "lambda:InvokeFunction", "outcome", long_sessions.by_connect_urls),
        ("connect", "execute-api:ManageConnections", "post", long_sessions.by_coming_back),
        ("message", "dynamodb:UpdateItem", "connections", long_sessions.by_frames),
        ("message", "dynamodb:Query", "index", long_sessions.by_frames),
        ("message", "lambda:InvokeFunction", "outcome", long_sessions.by_growing_old),
        ("disconnect", "execute-api:ManageConnections", "post", long_sessions.by_vanishing),
        ("disconnect", "dynamodb:DeleteItem", "connections", long_sessions.by_closing_cleanly),
        ("outcome", "execute-api:ManageConnections", "post", long_sessions.by_connect_urls),
        ("outcome", "execute-api:ManageConnections", "close", long_sessions.by_being_refused),
        (
            "outcome",
            "dynamodb:DeleteItem",
            "connections",
            long_sessions.by_an_outcome_for_a_connection_that_is_gone,
        ),
        ("sweep", "dynamodb:Scan", "sessions", long_sessions.by_losing_the_speaker),
        (
            "sweep",
            "dynamodb:BatchGetItem",
            "connections",
            long_sessions.by_an_end_that_nobody_told,
        ),
        (
            "disconnect",
            "dynamodb:PutItem",
            "connections",
            long_sessions.by_an_end_that_reaches_nobody_at_first,
        ),
        (
            "sweep",
            "dynamodb:PutItem",
            "connections",
            long_sessions.by_an_end_that_reaches_nobody_at_first,
        ),
        (
            "outcome",
            "dynamodb:PutItem",
            "connections",
            long_sessions.by_an_end_that_reaches_nobody_at_first,
        ),
        ("outcome", "lambda:InvokeFunction", "outcome", caption_stories.by_a_slice),
        ("message", "dynamodb:Query", "captions", caption_stories.by_a_speaker),
        ("message", "lambda:InvokeFunction", "pipeline", caption_stories.by_a_speaker),
        ("publish", "dynamodb:UpdateItem", "sessions", caption_stories.by_a_pipeline),
        ("publish", "dynamodb:UpdateItem", "connections", caption_stories.by_a_pipeline),
        ("publish", "dynamodb:Query", "index", caption_stories.by_a_pipeline),
        ("publish", "dynamodb:PutItem", "captions", caption_stories.by_a_pipeline),
        ("publish", "execute-api:ManageConnections", "post", caption_stories.by_a_pipeline),
        ("interpreter", "dynamodb:PutItem", "captions", caption_stories.by_the_interpreter),
        (
            "interpreter",
            "execute-api:ManageConnections",
            "post",
            caption_stories.by_the_interpreter,
        ),
    ],
)
def test_a_story_fails_without_a_permission_that_it_needs(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    action: str,
    resource: str,
    story: Story,
) -> None:
    monkeypatch.setattr("tests.stories.target.WAIT_SECONDS", 3)
    with (
        scene.enforced.without(function, action, resource),
        pytest.raises((AssertionError, InvalidStatus, KeyError, TimeoutError)),
    ):
        story(scene)
