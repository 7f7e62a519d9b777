"""A kernel that may start while the one before it runs has its weights on their way before it waits."""

import pytest

from backends.cuda.compiler import Compiler
from tests.backends.cuda.compiled import CACHE_DIR
from tests.backends.cuda.machine_code import loads_of_16_bytes_before_the_wait
from tests.backends.cuda.shares import kernels_of_reference_models

pytestmark = pytest.mark.req("M0-W-1430")

ARCH = "sm_90a"


def test_products_of_a_prompt_ask_for_weights_before_they_wait() -> None:
    """The assembler may put a load behind the wait, wherever the source has it; only time would tell."""
    sources = {source for source in kernels_of_reference_models(ARCH) if source.file == "prefill_matmul.cu"}

    cubins = Compiler(ARCH, CACHE_DIR).compile(list(sources))

    late = [source.name for source, cubin in cubins.items() if loads_of_16_bytes_before_the_wait(cubin) < 2]
    assert len(sources) > 10
    assert not late
