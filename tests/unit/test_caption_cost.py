"""The computed cost of captions, compared with counted requests, stored items and log lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.models import Audio, Caption
from chalicelib.store.caption_numbers import KEPT_IDS, MOST_OBSOLETE
from tests.unit import caption_cost, session_cost, test_costs
from tests.unit.caption_cost import CODES, Speaking
from tests.unit.fakes import join

stage = test_costs.stage

COSTS = Path("docs/reference/costs.md").read_text()
DECISION = Path("docs/adr/0015-caption-numbers-on-the-session-item.md").read_text()


def operations(dynamodb: Any, do: Callable[[], Any]) -> list[str]:
    dynamodb.transport.requests.clear()
    do()
    return sorted(operation for operation, _ in dynamodb.transport.requests)


def test_a_caption_costs_three_requests_and_a_speakers_four_of_which_two_write(
    stage: test_costs.Stage, dynamodb: Any
) -> None:
    published = operations(dynamodb, stage.publish)
    assert published == ["PutItem", "Query", "UpdateItem"]
    assert operations(dynamodb, stage.say) == ["GetItem", *published]


@pytest.mark.parametrize("languages", [1, 2, 5, 10])
def test_the_computed_session_item_has_the_size_of_a_stored_one(
    stage: test_costs.Stage, dynamodb: Any, languages: int
) -> None:
    publishing = stage.use_cases.publishing
    for number, code in enumerate(CODES[:languages]):
        join(stage.dispatcher, number, stage.session_id, code)
    for order in range(1, KEPT_IDS + 11):
        publishing.publish(stage.session_id, "en", [Caption(f"phrase-{order}", "a", 0)])
        for code in CODES[:languages]:
            caption = Caption(f"phrase-{order}", "a", 0)
            publishing.publish_translation(stage.session_id, code, caption, order)
    key = {"sessionId": {"S": stage.session_id}}
    item = dynamodb.get_item(TableName="sessions", Key=key, ConsistentRead=True)
    size = caption_cost.item_bytes(item)
    least = caption_cost.item_bytes(caption_cost.session_item(languages))
    most = caption_cost.item_bytes(caption_cost.session_item(languages, MOST_OBSOLETE))
    # The test's IDs and numbers are shorter than the longest ones.
    assert 0.85 * least <= size <= most


def test_a_stored_caption_of_60_characters_is_one_unit(
    stage: test_costs.Stage, dynamodb: Any
) -> None:
    url = f"https://{'d' * 14}.cloudfront.net/{'k' * 32}.mp3"
    caption = Caption("i" * 16, "ñ" * 60, 1_800_000_000_001, 4000, Audio(url=url))
    stage.use_cases.publishing.publish(stage.session_id, "es", [caption])
    (item,) = dynamodb.scan(TableName="captions")["Items"]
    assert caption_cost.item_bytes(item) < 1024


def test_messages_and_log_lines_have_the_documented_length(
    stage: test_costs.Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO", "prod", b"key")
    url = f"https://{'d' * 14}.cloudfront.net/{'k' * 32}.mp3"
    caption = Caption("i" * 16, "n" * 60, 1_800_000_000_001, 4000, Audio(url=url))
    stage.use_cases.publishing.publish(stage.session_id, "es", [caption])
    (message,) = stage.phones.inbox["b="]
    frame = json.dumps(message, separators=(",", ":"))
    assert len(frame) + 4 == pytest.approx(caption_cost.CAPTION_BYTES, rel=0.1)
    lines = capsys.readouterr().out.splitlines()
    assert sum(map(len, lines)) == pytest.approx(caption_cost.PUBLISHED_BYTES, rel=0.15)


def test_an_hour_in_two_languages_costs_the_amounts_computed_by_hand() -> None:
    lines = {line.item: line.amount for line in caption_cost.of_hour(Speaking(2))}
    # 720 phrases of 60 characters for 500 listeners.
    assert lines["Translate: characters"] == lines["Polly: characters"] == 86_400
    assert lines["API Gateway: messages"] == 720 * 502
    assert lines["Lambda: runs"] == 2 * 720
    # Each of three captions: the units of its number, and one for its item.
    assert lines["DynamoDB: write units"] == 720 * 3 * (caption_cost.number_units(2) + 1)
    # The speaker, no listeners in the source language, and twice 250 listeners of 80 bytes.
    assert lines["DynamoDB: read units"] == 720 * (1 + 0.5 + 2 * 2.5)
    assert lines["S3: stored phrases"] == 1440
    assert lines["CloudFront: requests"] == 360_000
    # Four seconds of 6,000 bytes.
    assert lines["CloudFront: GB out"] == pytest.approx(8.64)


def test_captions_without_speech_cost_neither_polly_nor_media() -> None:
    items = {line.item.partition(":")[0] for line in caption_cost.of_hour(Speaking(2, False))}
    assert not items & {"Polly", "S3", "CloudFront"}


def test_the_docs_show_the_cost_of_an_hour() -> None:
    assert session_cost.as_table(caption_cost.of_hour(Speaking(2))) in COSTS


@pytest.mark.parametrize("languages", [1, 2, 10])
def test_the_docs_show_the_cost_of_an_hour_in_other_languages(languages: int) -> None:
    totals = [
        session_cost.total_usd(caption_cost.of_hour(Speaking(languages, is_spoken)))
        for is_spoken in (False, True)
    ]
    assert f"| {languages} | {totals[0]:.2f} | {totals[1]:.2f} |" in COSTS


def test_the_decision_shows_the_units_of_both_designs() -> None:
    assert caption_cost.as_units_table() in DECISION
