"""Files of true size, which the tests of a run share."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from bench.gpu.model_files import model_file
from tests.gpu.port import ModelPath


@pytest.fixture(scope="session")
def true_size() -> Iterator[ModelPath]:
    """The file of a name in `tools.true_size`, written when it is first asked for."""
    with ExitStack() as files:
        yield cache(lambda name: files.enter_context(model_file(name, None)))
