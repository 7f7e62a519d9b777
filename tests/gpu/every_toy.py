"""A program that takes every toy model through a prompt, an answer of each kind of sampling, and a score.

It is what a checker of device memory is given, since a whole test run would take it hours:

    compute-sanitizer --tool memcheck python -m tests.gpu.every_toy

likewise with racecheck and initcheck. Prints one line a model.
"""

from contextlib import closing

from adapters_outbound.gguf.opener import GgufModelFileOpener
from backends.cuda.backend import CudaBackend
from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.loaded_model import LoadedModel
from ports.sampling import GREEDY, SamplingParams
from tests.golden.oracle import DIRECTORY

PROMPT = [3, 14, 15, 92, 65, 35, 89, 79, 32, 38] * 3
SAMPLINGS = (
    GREEDY,
    SamplingParams(seed=1),
    SamplingParams(seed=2, top_k=9, top_p=0.9, repetition_penalty=1.2),
)
NUM_TOKENS = 5


def main() -> None:
    """Run all of it on device 0."""
    for path in sorted(DIRECTORY.glob("*.gguf")):
        with closing(GgufModelFileOpener().open(str(path))) as file:
            description = describe(file)
            device = CudaBackend().open_device(0)
            info = device.info()
            plan = plan_memory(
                description,
                free_bytes=info.free_bytes,
                gpu_device=0,
                path=file.path,
                prefill_chunk_tokens=16,
            )
            model = device.load_model(
                description, file, plan, chunk_bytes=2**20, on_progress=lambda _done, _total: None
            )
            answers = [answer(model, sampling) for sampling in SAMPLINGS]
            scores = model.score(PROMPT)
            device.close()
        print(f"{path.stem}: {answers} {scores.mean():.3f}")  # noqa: T201 # for whoever runs it


def answer(model: LoadedModel, sampling: SamplingParams) -> list[int]:
    sequence_id = model.open_sequence(PROMPT, sampling, max_tokens=NUM_TOKENS)
    tokens: list[int] = []
    while len(tokens) < NUM_TOKENS:
        tokens += [output.token_id for output in model.step()]
    model.close_sequence(sequence_id)
    return tokens


if __name__ == "__main__":
    main()
