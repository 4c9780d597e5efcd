"""Public reads of the embedded S3, first requests that must not be public."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway_support.plain_http import Answer, request
from local_gateway import aws
from local_gateway.aws.embedded import embedded_aws
from local_gateway.aws_options import AwsOptions
from local_gateway.public_buckets import PREFIX, full_name

BUCKET = "chat-app-local-media"
FOREIGN = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder: Path = tmp_path_factory.mktemp("project")
    with embedded_aws(folder, "Chat_App-local", AwsOptions(buckets=("media",))) as environment:
        s3 = aws.client("s3", environment["AWS_ENDPOINT_URL"])
        s3.create_bucket(Bucket="private")
        s3.put_object(Bucket="private", Key="a.mp3", Body=b"private")
        s3.put_object(
            Bucket=BUCKET,
            Key="a b/c.mp3",
            Body=b"0123456789",
            ContentType="audio/mpeg",
            CacheControl="public, max-age=31536000, immutable",
        )
        yield environment


def get(environment: dict[str, str], path: str, method: str = "GET", **headers: str) -> Answer:
    return request(environment["AWS_ENDPOINT_URL"], method, path, **headers)


@pytest.mark.parametrize(
    "path",
    [
        f"{PREFIX}{BUCKET}",
        f"{PREFIX}{BUCKET}/",
        f"{PREFIX}{BUCKET}/?list-type=2",
        f"{PREFIX}private/a.mp3",
        f"{PREFIX}",
        f"/{BUCKET}/a%20b/c.mp3",
        "/?Action=ListUsers",
    ],
)
def test_a_page_cannot_list_a_bucket_or_read_another_one(
    environment: dict[str, str], path: str
) -> None:
    assert get(environment, path, **FOREIGN).status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_a_page_cannot_change_a_public_bucket(environment: dict[str, str], method: str) -> None:
    path = f"{PREFIX}{BUCKET}/a%20b/c.mp3"
    assert get(environment, path, method, **FOREIGN).status == 403
    assert get(environment, path).body == b"0123456789"


def test_a_query_string_has_no_effect(environment: dict[str, str]) -> None:
    path = f"{PREFIX}{BUCKET}/a%20b/c.mp3?acl&Action=ListUsers"
    assert get(environment, path, **FOREIGN).body == b"0123456789"


def test_a_missing_object_is_not_found(environment: dict[str, str]) -> None:
    assert get(environment, f"{PREFIX}{BUCKET}/none.mp3", **FOREIGN).status == 404


def test_a_page_of_any_site_gets_an_object(environment: dict[str, str]) -> None:
    url = f"{environment['MEDIA_URL']}/a%20b/c.mp3"
    assert environment["MEDIA_BUCKET"] == BUCKET
    answer = get(environment, urlsplit(url).path, **FOREIGN)
    assert (answer.status, answer.body) == (200, b"0123456789")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert headers["content-type"] == "audio/mpeg"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["access-control-allow-origin"] == "*"


def test_a_part_of_an_object_can_be_read(environment: dict[str, str]) -> None:
    path = f"{PREFIX}{BUCKET}/a%20b/c.mp3"
    answer = get(environment, path, Range="bytes=2-4", **FOREIGN)
    assert (answer.status, answer.body) == (206, b"234")


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("x-local", "x-local-media"), ("My_App-Dev", "my-app-dev-media"), ("a..b", "a-b-media")],
)
def test_a_full_name_has_only_characters_that_s3_accepts(prefix: str, expected: str) -> None:
    assert full_name(prefix, "media") == expected
