"""The headers of the true-size files against what is known of the published ones. No data is written."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from bench.gpu.traffic import bytes_per_token
from domain.architectures import describe
from tools.gguf_export.layout import encode_header, padding
from tools.true_size.metadata import metadata_of
from tools.true_size.model_shape import (
    GPT_OSS_20B,
    LLAMA_3_1_8B,
    LLAMA_3_2_1B,
    MODELS,
    PHI_3_MINI,
    QWEN_2_5_0_5B,
    ModelShape,
)
from tools.true_size.tensors import tensors_of


@dataclass(frozen=True)
class Published:
    """What is known of a published file."""

    shape: ModelShape
    types: dict[str, int]  # tensors of each type
    megabytes_per_token: float  # at a context of 64
    bos: int | None
    eog: set[int]


# Types: spec §10. Bytes: llama.cpp measured with files of these shapes, except the 8B (its file has 4.92 GB).
PUBLISHED = [
    Published(
        QWEN_2_5_0_5B,
        {"F32": 121, "Q5_0": 132, "Q8_0": 13, "Q4_K": 12, "Q6_K": 12},
        392.6,
        bos=151_643,
        eog={151_643, 151_645},
    ),
    Published(
        LLAMA_3_2_1B,
        {"F32": 34, "Q4_0": 112, "Q6_K": 1},
        765.2,
        bos=128_000,
        eog={128_001, 128_008, 128_009},
    ),
    Published(
        PHI_3_MINI,
        {"F32": 65, "Q4_K": 81, "Q5_K": 32, "Q6_K": 17},
        2362,
        bos=1,
        eog={32_000, 32_007},
    ),
    Published(
        LLAMA_3_1_8B,
        {"F32": 66, "Q4_K": 193, "Q6_K": 33},
        4920.7 - 295.5 + 8.4,  # the file, less an embedding that is looked up, and the KV cache
        bos=128_000,
        eog={128_001, 128_008, 128_009},
    ),
    Published(
        GPT_OSS_20B,
        {"F32": 289, "Q8_0": 98, "MXFP4": 72},
        2578,
        bos=199_998,
        eog={199_999, 200_002, 200_012},
    ),
]


def open_header(path: Path, shape: ModelShape) -> GgufModelFile:
    """The file of `shape` with a hole where the weights go."""
    entries = tensors_of(shape)
    header = encode_header(metadata_of(shape), entries)
    size_bytes = sum(entry.size_bytes + len(padding(entry.size_bytes)) for entry in entries)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size_bytes)
    return GgufModelFileOpener().open(str(path))


def published_id(published: Published) -> str:
    return published.shape.name


def test_every_model_is_checked() -> None:
    assert list(MODELS.values()) == [published.shape for published in PUBLISHED]


@pytest.mark.parametrize("published", PUBLISHED, ids=published_id)
def test_a_header_is_that_of_the_published_file(tmp_path: Path, published: Published) -> None:
    file = open_header(tmp_path / "model.gguf", published.shape)
    description = describe(file)
    tokenizer = build_tokenizer(file.metadata, path=file.path)
    file.close()

    types = Counter(tensor.type.name for tensor in file.tensors.values())
    megabytes = bytes_per_token(description, context=64) / 1e6
    assert published.types == types
    assert published.megabytes_per_token == pytest.approx(megabytes, rel=0.005)
    assert published.shape.mix == description.quant_kind
    assert published.shape.vocab_size == description.vocab_size == tokenizer.vocab_size
    assert (published.bos, published.eog) == (tokenizer.bos_token_id, set(tokenizer.eog_token_ids))
