"""Load progress in quarters."""

import pytest

from domain.load_progress import LoadProgress


def reached(*updates: tuple[int, int]) -> list[int]:
    percents: list[int] = []
    progress = LoadProgress(percents.append)
    for done, total in updates:
        progress.update(done, total)
    return percents


@pytest.mark.req("M0-W-1621")
@pytest.mark.parametrize(
    "updates",
    [
        [(done, 1000) for done in range(1001)],
        [(0, 3), (1, 3), (2, 3), (3, 3)],
        [(0, 10**12), (10**12, 10**12)],
        [(0, 0)],
    ],
    ids=["many small steps", "three steps", "one step", "nothing to load"],
)
def test_every_quarter_is_reached_once_and_in_order(updates: list[tuple[int, int]]) -> None:
    assert [0, 25, 50, 75, 100] == reached(*updates)


def test_a_quarter_is_not_reached_before_its_bytes_are_there() -> None:
    assert [0, 25] == reached((0, 1000), (499, 1000))
