"""The model on board on the device and on the stand-in: as good a model, in every quantization."""

import json
import math
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import app.models
from app.demo import MODEL_ON_BOARD
from app.launcher import WorkerProcessHandle
from tools.haiku.corpus import MEASURED, random_pairs
from tools.haiku.evaluate import PROMPT_SEED, TEMPERATURES, fresh_requests, measure
from tools.haiku.export import read_weights, write_model
from tools.haiku.perplexity import SEED
from tools.haiku.quant_mix import MIXES
from tools.haiku.scoring import Score, score
from tools.haiku.tokenizer import load_tokenizer

pytestmark = [pytest.mark.gpu, pytest.mark.long]

ROOT = Path(__file__).parents[2]
MODEL = Path(app.models.__file__).parent / MODEL_ON_BOARD
NUM_POEMS, WINDOW_TOKENS = 60, 256
NUM_PROMPTS = 100

Share = tuple[int, int]  # part, whole


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Requests and poems that the model was not trained on."""
    pairs = islice(random_pairs(SEED, MEASURED), NUM_POEMS)
    path = tmp_path_factory.mktemp("text") / "poems.txt"
    path.write_text("\n\n".join(f"{request.prompt}\n{poem}" for request, poem in pairs), encoding="utf-8")
    return path


@pytest.mark.req("M0-W-1822", "M0-W-1006")
@pytest.mark.parametrize("mix", MIXES)
def test_its_perplexity_is_the_stand_ins_within_half_a_percent(mix: str, text: Path, tmp_path: Path) -> None:
    path = tmp_path / f"haiku-{mix.lower()}.gguf"
    write_model(path, read_weights(MODEL), load_tokenizer(), mix)

    expected, actual = (perplexity(path, text, backend) for backend in ("fake", "cuda"))

    assert pytest.approx(expected, rel=0.005) == actual


def perplexity(path: Path, text: Path, backend: str) -> float:
    command = [sys.executable, "-m", "app", "perplexity", str(path), f"--text={text}", "--json"]
    command += [f"--backend={backend}", f"--context={WINDOW_TOKENS}"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    result = json.loads(printed)
    assert result["tokens"] > 1000
    return float(result["perplexity"])


@pytest.mark.req("M0-W-1800", "M0-W-1006")
def test_the_haiku_evaluation_gives_the_same_shares() -> None:
    expected, actual = (evaluate(backend) for backend in ("fake", "cuda"))

    for temperature in TEMPERATURES:
        for left, right in zip(shares(expected[temperature]), shares(actual[temperature]), strict=True):
            assert_same_share(left, right)


def evaluate(backend: str) -> dict[float, Score]:
    requests = fresh_requests(NUM_PROMPTS, PROMPT_SEED)
    with WorkerProcessHandle(["--model", str(MODEL), "--backend", backend]) as worker:
        runs = [measure(worker.client, requests, temperature=temperature) for temperature in TEMPERATURES]
    return {run.temperature: score(requests, run.answers) for run in runs}


def shares(counts: Score) -> list[Share]:
    return [
        (counts.num_haiku, counts.num_answers),
        (counts.num_words_kept, counts.num_words),
        (counts.num_nonces_kept, counts.num_nonces),
    ]


def assert_same_share(left: Share, right: Share) -> None:
    """Within two standard errors of the difference of two shares, as if the answers had nothing in common."""
    assert left[1] == right[1]
    whole = left[1]
    pooled = (left[0] + right[0] + 1) / (2 * whole + 2)  # never quite 0 or 1
    assert abs(left[0] - right[0]) / whole <= 2 * math.sqrt(2 * pooled * (1 - pooled) / whole)
