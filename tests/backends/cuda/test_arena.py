"""One allocation handed out piece by piece."""

import pytest

from backends.cuda.arena import Arena
from domain.errors import VramExhausted

pytestmark = pytest.mark.req("M0-W-1220")


def test_pieces_start_on_256_bytes_one_after_the_other() -> None:
    arena = Arena(2**33, 1024)

    assert [2**33, 2**33 + 256, 2**33 + 768, 2**33 + 768] == [arena.take(size) for size in (1, 257, 0, 256)]


def test_what_does_not_fit_is_refused_with_the_bytes_it_takes_and_the_bytes_there_are() -> None:
    arena = Arena(0, 512)
    arena.take(256)
    with pytest.raises(VramExhausted) as refused:
        arena.take(257)

    assert "768" in refused.value.message
    assert "512" in refused.value.message
