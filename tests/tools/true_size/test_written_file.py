"""Files of every model, made small, written and run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from backends.fake.backend import FakeBackend
from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.model_file import ModelFile, TensorInfo
from ports.tensor_types import TensorType
from tools.true_size.model_shape import GPT_OSS_20B, MODELS, QWEN_2_5_0_5B, ModelShape
from tools.true_size.writer import write_true_size

_TEXT = "Straße, 日本 & <|im_start|> 🙂"


def small(shape: ModelShape) -> ModelShape:
    """Few and narrow layers that still mix all the types of the true ones."""
    ragged = shape.hidden_size % 256 != 0
    return replace(
        shape,
        num_layers=2,
        hidden_size=288 if ragged else 256,
        intermediate_size=288 if shape.num_experts else 512,
        vocab_size=2000,
        num_experts=6 if shape.num_experts else 0,
    )


@pytest.fixture(
    scope="module", params=[small(shape) for shape in MODELS.values()], ids=lambda shape: shape.name
)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelFile]:
    """Written once; no test writes to it."""
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    write_true_size(path, request.param)
    file = GgufModelFileOpener().open(str(path))
    yield file
    file.close()


def values_of(file: ModelFile, tensor: TensorInfo) -> NDArray[np.float32]:
    stored = np.frombuffer(file.read(tensor, offset_bytes=0, size_bytes=tensor.size_bytes), np.uint8).copy()
    return dequantize(stored, GGMLQuantizationType(tensor.type)).astype(np.float32)


def test_quantized_weights_are_small_numbers_around_zero(file: ModelFile) -> None:
    matrices = [tensor for tensor in file.tensors.values() if tensor.type is not TensorType.F32]
    spreads = [float(values_of(file, tensor).std()) for tensor in matrices]
    means = [float(values_of(file, tensor).mean()) for tensor in matrices]

    assert [0.02] * len(matrices) == pytest.approx(spreads, rel=0.25)
    assert [0.0] * len(matrices) == pytest.approx(means, abs=0.003)


def test_a_model_computes_finite_numbers(file: ModelFile) -> None:
    description = describe(file)
    plan = plan_memory(description, free_bytes=2**31, kv_cache_bytes=2**24, gpu_device=0, path=file.path)
    device = FakeBackend(2**31).open_device(0)
    model = device.load_model(description, file, plan, chunk_bytes=2**20, on_progress=lambda *_: None)
    log_probs = model.score(list(range(300, 340)))
    device.close()

    assert np.isfinite(log_probs).all()
    assert log_probs.std() > 0.01  # no two tokens are alike


def test_the_vocabulary_takes_any_text(file: ModelFile) -> None:
    tokenizer = build_tokenizer(file.metadata, path=file.path)
    token_ids = tokenizer.encode(_TEXT, add_bos=False, parse_special=False)

    assert _TEXT == b"".join(map(tokenizer.decode_bytes, token_ids)).decode().removeprefix(" ")
    assert len(token_ids) < len(_TEXT.encode())  # some of it merges


def test_the_seed_decides_what_is_written(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_true_size(path, small(QWEN_2_5_0_5B), seed=seed)
    first, again, other = (path.read_bytes() for path in paths)

    assert first == again
    assert first != other


def test_no_two_rows_are_equal_where_blocks_come_round_again(tmp_path: Path) -> None:
    # 128 blocks a row, 384,000 in all: more than are drawn, and a ring of 2^18 would repeat every 2048 rows
    wide = replace(small(GPT_OSS_20B), num_layers=1, hidden_size=4096, num_heads=8, vocab_size=3000)
    write_true_size(tmp_path / "model.gguf", wide)
    file = GgufModelFileOpener().open(str(tmp_path / "model.gguf"))
    embedding = file.tensors["token_embd.weight"]
    stored = bytes(file.read(embedding, offset_bytes=0, size_bytes=embedding.size_bytes))
    file.close()
    row_bytes = embedding.size_bytes // 3000
    rows = {stored[start : start + row_bytes] for start in range(0, len(stored), row_bytes)}

    assert len(rows) == 3000
