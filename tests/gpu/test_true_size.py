"""The three reference models in shape, size and quantization, with random weights: they fit and serve."""

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from app.launcher import WorkerProcessHandle
from domain.architectures import describe
from ports.model_description import ModelDescription
from ports.sampling import GREEDY
from tests.gpu.port import ModelPath, opened

pytestmark = [pytest.mark.gpu, pytest.mark.long]

QWEN, PHI, GPT_OSS = "qwen2.5-0.5b-q4_k_m", "phi-3-mini-4k-q4_k_m", "gpt-oss-20b-mxfp4"
LARGEST_BYTES = 24 * 10**9  # of the device that all three are to fit on
CONTEXT_TOKENS = 2048
NUM_TOKENS = 16


@pytest.mark.req("M0-W-1230", "M0-W-1823", "M0-W-1220", "M0-SYS-2.2.1")
@pytest.mark.parametrize("name", [PHI, GPT_OSS])
def test_it_fits_on_24_gb_runs_and_takes_what_was_planned(name: str, true_size: ModelPath) -> None:
    path = str(true_size(name))
    with opened("cuda", path, available_bytes=LARGEST_BYTES, kv_tokens=CONTEXT_TOKENS) as loaded:
        plan, held = loaded.plan, loaded.model.memory()
        stored_bytes = sum(tensor.size_bytes for tensor in loaded.description.tensors)

        assert plan.total_bytes <= LARGEST_BYTES
        assert pytest.approx(stored_bytes, rel=0.01) == held.weights_bytes
        assert pytest.approx(plan.total_bytes, rel=0.02) == held.used_bytes
        assert pytest.approx(plan.total_bytes, rel=0.02) == loaded.free_bytes - held.free_bytes

        job = loaded.model.open_sequence(range(1, 100), GREEDY, max_tokens=NUM_TOKENS)
        outputs = [output for _ in range(NUM_TOKENS) for output in loaded.model.step()]
        loaded.model.close_sequence(job)

        assert NUM_TOKENS == len(outputs)
        assert loaded.model.check_residency()
        assert (
            pytest.approx(plan.total_bytes, rel=0.02) == loaded.free_bytes - loaded.model.memory().free_bytes
        )


@pytest.mark.req("M0-W-1230", "M0-W-1820", "M0-W-1823", "M0-W-1826")
@pytest.mark.parametrize("name", [QWEN, PHI, GPT_OSS])
def test_a_worker_starts_executes_repeats_and_stops(name: str, true_size: ModelPath) -> None:
    path = str(true_size(name))
    description = describe_file(path)
    kv_bytes = CONTEXT_TOKENS * description.kv_bytes_per_token
    stored_bytes = sum(tensor.size_bytes for tensor in description.tensors)
    request = {"job_id": "job", "prompt": "Once upon a time", "max_tokens": NUM_TOKENS, "temperature": 0}
    arguments = ["--model", path, "--backend", "cuda", "--kv-cache-size-mb", str(kv_bytes // 2**20)]
    with WorkerProcessHandle(arguments) as worker:
        before = worker.client.health()
        first, again = (worker.client.complete(request) for _ in range(2))
        after = worker.client.health()

        assert NUM_TOKENS == len(first.token_ids)
        assert first.token_ids == again.token_ids
        assert ("healthy", True, description.quant_kind) == tuple(
            before[field] for field in ("status", "resident", "quant_kind")
        )
        assert pytest.approx(stored_bytes + kv_bytes, rel=0.2) == before["vram_bytes_used"]
        assert {**before, "uptime_seconds": 0} == {**after, "uptime_seconds": 0}
        assert 0 == worker.stop()


def describe_file(path: str) -> ModelDescription:
    file = GgufModelFileOpener().open(path)
    try:
        return describe(file)
    finally:
        file.close()
