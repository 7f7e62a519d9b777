"""Device memory: what is planned before anything is allocated, and what is held."""

from dataclasses import dataclass
from enum import Enum


class MemoryClass(Enum):
    """What an allocation is for (M0-W-1011)."""

    WEIGHTS = "weights"
    KV_CACHE = "kv_cache"
    SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Every byte a model will take on the device, fixed before the first allocation."""

    weights_bytes: int  # each tensor rounded up to 256
    kv_page_bytes: int  # one page: keys and values of `page_tokens` positions in every layer, FP16
    num_kv_pages: int
    page_tokens: int
    scratch_bytes: int  # activations, logits, sampling
    max_model_len: int  # longest sequence, prompt and answer, in tokens
    prefill_chunk_tokens: int

    @property
    def kv_cache_bytes(self) -> int:
        return self.kv_page_bytes * self.num_kv_pages

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_cache_bytes + self.scratch_bytes


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What is allocated on the device now, by class, and how far the KV pool is taken."""

    weights_bytes: int
    kv_cache_bytes: int
    scratch_bytes: int
    free_bytes: int  # of the device, every process counted
    num_kv_pages: int = 0
    num_free_kv_pages: int = 0

    @property
    def used_bytes(self) -> int:
        return self.weights_bytes + self.kv_cache_bytes + self.scratch_bytes
