"""What every compute backend must do: steps, their failures, scores."""

import dataclasses
import math

import numpy as np
import pytest

from domain.errors import (
    DeviceError,
    InvalidRequest,
    VramExhausted,
)
from domain.sampling import sample
from ports.compute_backend import Device
from ports.loaded_model import LoadedModel
from ports.sampling import GREEDY, SamplingParams
from ports.tensor_types import TensorType
from tests.contracts.backend_support import (
    HOT,
    PROMPT,
    SHAPES,
    MakeBackend,
    load,
    log_probabilities,
    run,
    run_open,
    spoil_token,
)
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1006", "M0-W-1051", "M0-W-1052")

# Steps


def test_a_step_with_nothing_open_gives_nothing(model: LoadedModel) -> None:
    assert [] == list(model.step())


def test_a_prompt_advances_by_chunks_and_gives_its_first_token_with_the_last(
    device: Device, file: MemoryModelFile
) -> None:
    model = load(device, file, chunk_tokens=3)
    model.open_sequence(PROMPT, GREEDY, max_tokens=4)  # 8 tokens: 3, 3, 2

    assert [0, 0, 1, 1] == [len(model.step()) for _ in range(4)]


@pytest.mark.req("M0-SYS-2.3.1")
@pytest.mark.parametrize("chunk_tokens", [1, 3, 5, 8])
def test_a_prompt_in_chunks_of_any_size_gives_the_same_tokens(
    device: Device, file: MemoryModelFile, make_backend: MakeBackend, chunk_tokens: int
) -> None:
    whole, in_chunks = (
        load(device, file),
        load(make_backend().open_device(0), file, chunk_tokens=chunk_tokens),
    )

    for sampling in (GREEDY, HOT):
        assert run(whole, PROMPT, sampling) == run(in_chunks, PROMPT, sampling)


@pytest.mark.req("M0-W-1030", "M0-SYS-2.3.1")
def test_the_same_seed_gives_the_same_tokens_whatever_else_is_open(model: LoadedModel) -> None:
    alone = run(model, PROMPT, HOT)
    other = model.open_sequence([5, 6], SamplingParams(seed=4), max_tokens=40)
    model.step()
    model.step()
    in_company = run(model, PROMPT, HOT)
    model.close_sequence(other)

    assert alone == in_company
    assert alone == run(model, PROMPT, HOT)
    assert alone != run(model, PROMPT, dataclasses.replace(HOT, seed=1))


def test_sequences_in_one_batch_each_get_their_solo_tokens(model: LoadedModel) -> None:
    prompts = {"short": [5], "long": PROMPT * 3, "hot": PROMPT}
    samplings = {"short": GREEDY, "long": GREEDY, "hot": HOT}
    expected = {name: run(model, prompts[name], samplings[name], num_tokens=8) for name in prompts}
    ids = {name: model.open_sequence(prompts[name], samplings[name], max_tokens=8) for name in prompts}
    tokens = run_open(model, dict.fromkeys(ids.values(), 8))

    assert expected == {name: tokens[sequence_id] for name, sequence_id in ids.items()}


def test_outputs_come_in_the_order_of_opening(model: LoadedModel) -> None:
    ids = [model.open_sequence([seed + 1], GREEDY, max_tokens=4) for seed in range(3)]
    model.close_sequence(ids[1])
    ids = [ids[0], ids[2], model.open_sequence([9], GREEDY, max_tokens=4)]

    assert ids == [output.sequence_id for output in model.step()]


def test_a_sequence_rests_once_it_has_all_the_tokens_it_asked_for(model: LoadedModel) -> None:
    model.open_sequence(PROMPT, GREEDY, max_tokens=2)

    assert [1, 1, 0, 0] == [len(model.step()) for _ in range(4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("matrix_type", [TensorType.F32, TensorType.Q8_0], ids=lambda each: each.name)
def test_a_pass_that_computes_nan_fails_and_the_model_goes_on_without_it(
    device: Device, shape: TinyShape, matrix_type: TensorType
) -> None:
    file = tiny_model(dataclasses.replace(shape, matrix_type=matrix_type))
    spoil_token(file, 50)
    model = load(device, file)
    expected, before = run(model, PROMPT), model.memory()
    bystander = model.open_sequence(PROMPT, GREEDY, max_tokens=4)
    spoiled = model.open_sequence([50], GREEDY, max_tokens=4)
    with pytest.raises(DeviceError):
        model.step()
    with pytest.raises(DeviceError):  # every open sequence is lost, until it is closed
        model.step()
    newcomer = model.open_sequence(PROMPT, GREEDY, max_tokens=12)
    model.close_sequence(spoiled)
    model.close_sequence(bystander)

    assert expected == run_open(model, {newcomer: 12})[newcomer]
    model.close_sequence(newcomer)
    assert before == model.memory()
    assert expected == run(model, PROMPT)


# Scores


def test_scores_are_the_log_probabilities_that_tokens_are_chosen_by(model: LoadedModel) -> None:
    scores = log_probabilities(model, PROMPT)

    assert math.isclose(1.0, float(np.exp(scores).sum()), rel_tol=1e-4)
    assert [int(scores.argmax())] == run(model, PROMPT, num_tokens=1)


@pytest.mark.req("M0-W-1421")
@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(seed=1),
        SamplingParams(seed=2, temperature=2.0, top_k=20),
        SamplingParams(seed=3, temperature=1.5, top_p=0.8),
        SamplingParams(seed=4, temperature=0.7, top_k=50, top_p=0.95, min_p=0.05),
    ],
    ids=["plain", "top-k", "top-p", "all"],
)
def test_tokens_are_sampled_as_the_domain_samples(model: LoadedModel, sampling: SamplingParams) -> None:
    tokens = run(model, PROMPT, sampling, num_tokens=3)
    expected = [
        sample(log_probabilities(model, PROMPT + tokens[:step]), tokens[:step], sampling, step)
        for step in range(3)
    ]

    assert expected == tokens


def test_the_score_of_a_beginning_is_the_beginning_of_the_score(
    device: Device, file: MemoryModelFile
) -> None:
    model = load(device, file, chunk_tokens=3)
    whole = model.score(PROMPT)

    assert (len(PROMPT) - 1,) == whole.shape
    for length in range(2, len(PROMPT)):
        np.testing.assert_allclose(model.score(PROMPT[:length]), whole[: length - 1], atol=1e-3)


def test_scoring_between_steps_disturbs_no_sequence(model: LoadedModel) -> None:
    expected = run(model, PROMPT, HOT, num_tokens=4)
    sequence_id = model.open_sequence(PROMPT, HOT, max_tokens=4)
    actual: list[int] = []
    for _ in range(4):
        model.score([9, 8, 7])
        actual.extend(output.token_id for output in model.step())
    model.close_sequence(sequence_id)

    assert expected == actual


def test_a_score_without_pages_for_it_takes_nothing(model: LoadedModel) -> None:
    model.open_sequence([1], GREEDY, max_tokens=127)
    before = model.memory()
    with pytest.raises(VramExhausted):
        model.score(PROMPT)

    assert before == model.memory()


@pytest.mark.parametrize(
    "token_ids", [[], [1], [1, 96], [1] * 129], ids=["none", "one", "bad id", "too long"]
)
def test_what_cannot_be_scored_is_refused(model: LoadedModel, token_ids: list[int]) -> None:
    with pytest.raises(InvalidRequest):
        model.score(token_ids)
