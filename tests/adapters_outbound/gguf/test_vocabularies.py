"""Real vocabularies."""

from pathlib import Path

import numpy as np
import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener

pytestmark = pytest.mark.req("M0-W-1211")


@pytest.mark.parametrize(
    ("name", "model", "num_tokens", "num_merges"),
    [
        ("ggml-vocab-gpt-2.gguf", "gpt2", 50_257, 50_000),
        ("ggml-vocab-phi-3.gguf", "llama", 32_064, 0),
        ("ggml-vocab-qwen2.gguf", "gpt2", 151_936, 151_387),
    ],
)
def test_a_real_vocabulary_opens(
    vocabularies: Path, name: str, model: str, num_tokens: int, num_merges: int
) -> None:
    file = GgufModelFileOpener().open_vocabulary(str(vocabularies / name))
    tokens, types = file.metadata["tokenizer.ggml.tokens"], file.metadata["tokenizer.ggml.token_type"]
    merges = file.metadata.get("tokenizer.ggml.merges", [])

    assert isinstance(tokens, list)
    assert isinstance(merges, list)
    assert isinstance(types, np.ndarray)
    assert (model, num_tokens, num_merges) == (
        file.metadata["tokenizer.ggml.model"],
        len(tokens),
        len(merges),
    )
    assert ("int32", num_tokens) == (types.dtype.name, types.size)
