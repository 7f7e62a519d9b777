"""What the GPU benchmark makes of a backend whose every step takes a known time."""

from pathlib import Path

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from bench.gpu import engine_speed
from bench.gpu.engine_speed import measure_engine
from bench.gpu.figure import Figure
from bench.gpu.limits import Limits
from bench.gpu.peer import Peer
from bench.gpu.plan import BenchPlan
from bench.gpu.traffic import bytes_per_token
from domain.architectures import describe
from ports.model_description import ModelDescription
from tests.bench.timed_backend import TimedBackend, VirtualTime
from tests.support.tiny_gguf import CONTEXT, write_tiny_gguf

PLAN = BenchPlan(
    prefill_lengths=(16, 200, CONTEXT, CONTEXT + 1),
    decode_contexts=(128, 300, CONTEXT),
    num_repeats=3,
)
LIMITS = Limits(read_bytes_per_s=1e9, copy_bytes_per_s=1e6)
PEER = Peer(decode_tokens_per_s={128: 50.0}, prefill_tokens_per_s={16: 500.0, 200: 2000.0}, load_s=4.0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(write_tiny_gguf(tmp_path / "tiny.gguf"))


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> TimedBackend:
    time = VirtualTime()
    monkeypatch.setattr(engine_speed, "time", time)
    return TimedBackend(time)


@pytest.fixture
def figures(backend: TimedBackend, path: str) -> dict[str, Figure]:
    return {figure.what: figure for figure in measure_engine(backend, path, PLAN, LIMITS, PEER)}


def description_of(path: str) -> ModelDescription:
    file = GgufModelFileOpener().open(path)
    description = describe(file)
    file.close()
    return description


def test_every_row_that_the_context_allows_is_there_in_order(figures: dict[str, Figure]) -> None:
    prompts, decodes = ["prompt of 16", "prompt of 200", "prompt of 512"], ["decode at 128", "decode at 300"]

    assert ["load", "upload", *prompts, *decodes] == list(figures)


def test_upload_is_bytes_of_weights_over_the_time_from_the_first_byte_to_the_last(
    figures: dict[str, Figure], path: str
) -> None:
    weights_bytes = sum(tensor.size_bytes for tensor in description_of(path).tensors)
    upload = figures["upload"]

    assert [weights_bytes / 0.5 / 1e9] * 3 == pytest.approx(upload.samples)
    assert weights_bytes / 0.5 / 1e6 == pytest.approx(upload.share_of_limit)


def test_load_is_bytes_of_weights_over_the_time_of_the_whole_load_alone(
    figures: dict[str, Figure], path: str
) -> None:
    weights_bytes = sum(tensor.size_bytes for tensor in description_of(path).tensors)
    load = figures["load"]

    assert [weights_bytes / 2.0 / 1e9] * 3 == pytest.approx(load.samples)
    assert load.times_peer == pytest.approx(2.0)


def test_a_short_prompt_is_a_wait_until_its_first_token(figures: dict[str, Figure]) -> None:
    prompt = figures["prompt of 16"]

    assert prompt.unit == "ms"
    assert [16.0] * 3 == pytest.approx(prompt.samples)
    assert prompt.times_peer == pytest.approx(2.0)  # 32 ms at 500 tokens/s


def test_a_long_prompt_is_a_rate(figures: dict[str, Figure]) -> None:
    prompt = figures["prompt of 200"]

    assert prompt.unit == "tokens/s"
    assert [1000.0] * 3 == pytest.approx(prompt.samples)
    assert prompt.times_peer == pytest.approx(0.5)


def test_a_prompt_as_long_as_the_context_leaves_a_place_for_its_answer(
    backend: TimedBackend, figures: dict[str, Figure]
) -> None:
    assert CONTEXT - 1 == max(backend.models[-1].prompts)
    assert [1000.0] * 3 == pytest.approx(figures["prompt of 512"].samples)


def test_decode_counts_neither_prompt_nor_warm_up(figures: dict[str, Figure], path: str) -> None:
    decode = figures["decode at 128"]
    limit = 1e9 / bytes_per_token(description_of(path), context=128)

    assert [100.0] * 3 == pytest.approx(decode.samples)
    assert 100.0 / limit == pytest.approx(decode.share_of_limit)
    assert decode.times_peer == pytest.approx(2.0)


def test_the_context_that_a_decode_is_named_after_is_in_the_middle(
    backend: TimedBackend, figures: dict[str, Figure]
) -> None:
    num_prompt_tokens = backend.models[-1].prompts[-1]

    assert "decode at 300" == list(figures)[-1]
    assert 300 == num_prompt_tokens + 16 + 128 // 2


def test_the_cold_first_load_and_the_cold_first_prompt_do_not_count(
    backend: TimedBackend,
    figures: dict[str, Figure],  # noqa: ARG001 measured
) -> None:
    assert PLAN.num_loads + 1 == len(backend.models)
    assert 4 == backend.models[-1].prompts.count(16)
