"""A program whose device is lost under a loaded model; tells how every call after that ends, one a line."""

from collections.abc import Callable

from domain.errors import WorkerError
from ports.sampling import GREEDY
from tests.golden.oracle import DIRECTORY
from tests.gpu.port import opened
from tests.gpu.trap import make_trap


def main() -> None:
    """Load, generate, trap, try everything, close."""
    with opened("cuda", str(DIRECTORY / "llama.gguf")) as loaded:
        model = loaded.model
        sequence_id = model.open_sequence([1, 2, 3], GREEDY, max_tokens=100)
        model.step()
        make_trap()()
        calls: dict[str, Callable[[], object]] = {
            "step": lambda: [model.step() for _ in range(10)],  # a token or two may have come before the end
            "step again": model.step,
            "open": lambda: model.open_sequence([1], GREEDY, max_tokens=1),
            "score": lambda: model.score([1, 2, 3]),
            "residency": model.check_residency,
            "memory": model.memory,
            "close sequence": lambda: model.close_sequence(sequence_id),
            "close": model.close,
        }
        for name, call in calls.items():
            print(f"{name}: {outcome_of(call)}")  # noqa: T201 # the test reads it
    print("close device: done")  # noqa: T201


def outcome_of(call: Callable[[], object]) -> str:
    try:
        call()
    except WorkerError as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    main()
