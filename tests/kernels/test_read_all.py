"""The benchmark's kernel that measures the read bandwidth: it really reads everything."""

from ctypes import c_int64
from importlib.resources import files

import numpy as np
import pytest

from backends.cuda.compiler import Compiler
from backends.cuda.kernel import Kernel, pointer
from bench.gpu.limits import READ
from tests.kernels.gpu import Gpu

pytestmark = pytest.mark.gpu

SHOWN = 0x9E3779B9  # what the kernel writes down when it is the exclusive or of what a thread read
GRID, BLOCK = 3, 32


# threads with nothing to read, with a rest alone, with a whole round of loads, with both
@pytest.mark.parametrize("num_words", [1, GRID * BLOCK + 1, 8 * GRID * BLOCK, 8 * GRID * BLOCK + 50])
def test_every_word_is_read(gpu: Gpu, num_words: int) -> None:
    properties = gpu.context.properties
    cubin = Compiler(properties.arch, None, [files("bench.gpu")]).compile([READ])[READ]
    kernel = Kernel(READ.name, cubin, properties)
    unread = []
    for word in range(num_words):
        words = np.zeros((num_words, 4), np.uint32)
        words[word, word % 4] = SHOWN
        d_words, d_sink = gpu.upload(words), gpu.upload(np.zeros(1, np.uint32))
        kernel.bind(GRID, BLOCK, (pointer(d_words), c_int64(num_words), pointer(d_sink))).enqueue(gpu.stream)
        if gpu.download(d_sink, 1, np.uint32)[0] != SHOWN:
            unread.append(word)

    assert [] == unread
