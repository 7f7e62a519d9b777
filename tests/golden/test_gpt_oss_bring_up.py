"""GPT-OSS from file to answer in a real worker process: a toy of its architecture, experts in MXFP4."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf import GGUFReader
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from app.launcher import WorkerProcessHandle
from ports.tensor_types import TensorType
from tests.models.on_disk import write_model
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1823")

TOKENS = [*sorted(ByteLevel.alphabet()), "<|startoftext|>", "<|return|>"]
# large enough for weights and cache to outweigh the scratch space
SHAPE = TinyShape(
    "gpt-oss",
    vocab_size=len(TOKENS),
    num_layers=24,
    hidden_size=256,
    intermediate_size=256,
    matrix_type=TensorType.Q8_0,
    embedding_type=TensorType.Q8_0,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file without a tokenizer in it, and `tokenizer.json` beside it."""
    folder = tmp_path_factory.mktemp("gpt-oss")
    write_tokenizer_json(folder / "tokenizer.json")
    write_model(folder / "tiny-gpt-oss.gguf", tiny_model(SHAPE))
    return folder / "tiny-gpt-oss.gguf"


@pytest.fixture(scope="module")
def worker(model: Path) -> Iterator[WorkerProcessHandle]:
    with WorkerProcessHandle(["--model", str(model), "--backend", "fake"]) as handle:
        yield handle


def write_tokenizer_json(path: Path) -> None:
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(TOKENS[:-2])}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    tokenizer.add_special_tokens(TOKENS[-2:])
    tokenizer.save(str(path))


def test_health_says_mxfp4_hf_json_and_resident(worker: WorkerProcessHandle) -> None:
    health = worker.client.health()

    assert ("gpt-oss", "MXFP4", "hf-json", True, len(TOKENS)) == tuple(
        health[field] for field in ("architecture", "quant_kind", "tokenizer_kind", "resident", "vocab_size")
    )


def test_memory_is_what_file_and_configuration_say_within_a_fifth(
    worker: WorkerProcessHandle, model: Path
) -> None:
    weights_bytes = sum(int(tensor.n_bytes) for tensor in GGUFReader(model).tensors)
    tokens = SHAPE.context_length
    kv_bytes = 2 * SHAPE.num_layers * SHAPE.num_kv_heads * SHAPE.head_dim * tokens * 2

    assert pytest.approx(weights_bytes + kv_bytes, rel=0.2) == worker.client.health()["vram_bytes_used"]


def test_it_answers_twice_the_same(worker: WorkerProcessHandle) -> None:
    request = {"job_id": "job", "prompt": "2 + 2 =", "max_tokens": 12, "temperature": 0}

    first, again = (list(worker.client.execute(request)) for _ in range(2))

    assert "end" == first[-1].name
    assert first[-1].data["tokens_out"] > 0
    assert [event.data.get("ids") for event in first] == [event.data.get("ids") for event in again]
