"""The whole GPU benchmark on the stand-in: every row is there, and no number is nonsense."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backends.fake.backend import FakeBackend
from bench.gpu.figure import Figure
from bench.gpu.limits import Limits
from bench.gpu.measure import measure_model
from bench.gpu.peer import PEERS, Peer
from bench.gpu.plan import BenchPlan
from bench.gpu.table import as_json, table_row
from tools.true_size.model_shape import MODELS, PHI_3_MINI
from tools.true_size.writer import write_true_size

PLAN = BenchPlan(
    prefill_lengths=(16, 100),
    decode_contexts=(48, 64),
    num_timed_tokens=16,
    num_warm_up_tokens=2,
    num_repeats=2,
    num_loads=1,
    num_starts=1,
)
SMALL = replace(
    PHI_3_MINI,
    num_layers=1,
    hidden_size=256,
    intermediate_size=256,
    num_heads=4,
    num_kv_heads=4,
    vocab_size=2000,
)
ROWS = [
    ("load", "GB/s"),
    ("upload", "GB/s"),
    ("prompt of 16", "ms"),
    ("prompt of 100", "tokens/s"),
    ("decode at 48", "tokens/s"),
    ("decode at 64", "tokens/s"),
    ("start to ready", "s"),
    ("first token over HTTP", "ms"),
    ("tokens over HTTP", "tokens/s"),
]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    path = tmp_path_factory.mktemp("model") / "small.gguf"
    write_true_size(path, SMALL)
    limits = Limits(read_bytes_per_s=1e12, copy_bytes_per_s=1e12)
    arguments = ["--backend", "fake"]
    return list(
        measure_model(FakeBackend(2**32), str(path), PLAN, limits, Peer(), worker_arguments=arguments)
    )


def test_every_row_is_there(figures: list[Figure]) -> None:
    assert ROWS == [(figure.what, figure.unit) for figure in figures]


def test_every_number_is_one(figures: list[Figure]) -> None:
    for figure in figures:
        assert PLAN.num_repeats == len(figure.samples) or figure.what in ("load", "upload", "start to ready")
        assert all(math.isfinite(sample) and sample > 0 for sample in figure.samples)
        assert figure.share_of_limit is None or 0 < figure.share_of_limit < math.inf


def test_http_is_held_against_the_backend_alone(figures: list[Figure]) -> None:
    by_name = {figure.what: figure for figure in figures}

    assert by_name["decode at 48"].median == by_name["tokens over HTTP"].limit


def test_a_row_shows_median_spread_limit_and_peer() -> None:
    figure = Figure("decode at 128", "tokens/s", [90.0, 100.0, 120.0], limit=400.0, peer=50.0)

    expected = "| m | decode at 128 | 100 tokens/s | 30.0 % | 25 % | 50.0 | 2.00 |"
    assert expected == table_row("m", figure)
    assert [90.0, 100.0, 120.0] == as_json(figure)["samples"]


def test_less_time_than_the_peer_is_more_times_the_peer() -> None:
    assert Figure("first token over HTTP", "ms", [2.0], peer=6.0).times_peer == 3.0


def test_a_row_without_limit_and_peer_stays_empty_there() -> None:
    assert "| m | start to ready | 1.25 s | 0.0 % |  |  |  |" == table_row(
        "m", Figure("start to ready", "s", [1.25])
    )


def test_every_peer_is_a_model_that_can_be_written() -> None:
    assert set(PEERS) == set(MODELS) - {"llama-3.1-8b-q4_k_m"}


def test_without_a_gpu_it_says_so_and_measures_nothing() -> None:
    command = [sys.executable, "-m", "bench.gpu"]
    root, environment = Path(__file__).parents[2], {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    assert (1, "") == (done.returncode, done.stdout)
    assert "no GPU to measure" in done.stderr
