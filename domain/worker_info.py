"""What this worker is: facts that never change once it serves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Identity and model, as `/health`, the narration and the ready callback report them."""

    worker_id: str
    model: str  # general.name, lower case, blanks as '-'
    model_ref: str
    architecture: str
    quant_kind: str
    tokenizer_kind: str
    vocab_size: int
    context_length: int
    effective_context_length: int
    gpu_device: int
    eos_token_id: int | None = None
    bos_token_id: int | None = None
    compute_capability: int | None = None
    runtime_version: str | None = None
