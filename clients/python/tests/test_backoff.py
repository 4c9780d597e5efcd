"""The waits between attempts."""

from broadcast_sessions_client.backoff import Backoff


def test_waits_double_from_half_a_second_to_20_seconds_for_as_long_as_it_takes() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.next_seconds() for _ in range(2000)]
    assert waits[:7] == [0.5, 1, 2, 4, 8, 16, 20]
    assert set(waits[6:]) == {20}


def test_a_wait_is_random_and_comes_on_top_of_the_one_that_the_service_asks_for() -> None:
    backoff = Backoff(iter([0.0, 0.5, 0.25]).__next__)
    assert backoff.next_seconds() == 0
    assert backoff.next_seconds(7) == 7.5
    backoff.reset()
    assert backoff.next_seconds() == 0.125
