"""The time to leave is one for all stages of the end."""

import pytest

from app.shutdown_time import ShutdownTime
from tests.support.doubles import VirtualClock


@pytest.mark.req("M0-W-1630")
def test_every_stage_gets_what_those_before_it_have_left() -> None:
    time = ShutdownTime(5.15, clock := VirtualClock())
    clock.advance(60)
    time.start()
    clock.advance(1)
    time.start()

    assert [3.0, 4.0] == [pytest.approx(time.left_s(share)) for share in (0.8, 1.0)]

    clock.advance(3.5)

    assert [0.0, 0.5] == [pytest.approx(time.left_s(share)) for share in (0.8, 1.0)]


def test_it_runs_from_the_first_question_where_nobody_has_asked_to_leave() -> None:
    time = ShutdownTime(1.0, clock := VirtualClock())
    before = time.left_s()
    clock.advance(0.5)

    assert before - 0.5 == pytest.approx(time.left_s())


@pytest.mark.parametrize("timeout_s", [0.1, 0.5, 30.0])
def test_some_of_it_is_kept_for_the_interpreters_own_end(timeout_s: float) -> None:
    usable_s = ShutdownTime(timeout_s, VirtualClock()).left_s()

    assert 0.79 * timeout_s < usable_s < timeout_s
