"""What the process gives back, seen from inside: everything, whatever happens."""

from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from app.settings import Settings
from backends.fake.backend import FakeBackend, FakeDevice
from backends.fake.faults import parse_fault
from tests.support.in_process import run, settings_with
from tests.support.tiny_gguf import TOKENS


class WatchedBackend(FakeBackend):
    """Remembers the device it opened, and how much of its memory was taken at most."""

    def open_device(self, device_id: int) -> FakeDevice:
        self.device = super().open_device(device_id)
        return self.device

    @property
    def taken_bytes(self) -> int:
        info = self.device.info()
        return info.total_bytes - info.free_bytes


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_with(tmp_path)


def write_tokenizer_json(path: Path, tokens: list[str]) -> str:
    """A byte-level tokenizer whose last two tokens are BOS and EOS."""
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(tokens[:-2])}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    tokenizer.add_special_tokens(tokens[-2:])
    tokenizer.save(str(path))
    return str(path)


@pytest.mark.req("M0-W-1340", "M0-SYS-6.3.1", "M0-W-1400", "M0-W-1401", "SYS-2.4.2")
def test_a_worker_that_leaves_has_freed_its_device_before_it_says_so(settings: Settings) -> None:
    backend = WatchedBackend(2**30)
    taken: dict[str, int] = {}

    def on_event(event: str) -> None:
        if event in ("ready", "shutdown"):
            taken[event] = backend.taken_bytes

    status, _ = run(settings, backend, on_event)

    assert 0 == status
    assert taken["ready"] > 0 == taken["shutdown"]


@pytest.mark.req("M0-W-1111", "M0-W-1401")
def test_a_load_that_fails_gives_the_device_back(settings: Settings) -> None:
    backend = WatchedBackend(2**20)

    status, narrator = run(settings, backend)

    assert (1, ["INSUFFICIENT_VRAM"]) == (status, [e["error_kind"] for e in narrator.named("error")])
    assert 0 == backend.taken_bytes
    assert backend.device.is_closed


@pytest.mark.req("M0-W-1020", "M0-W-1111", "M0-W-1011")
def test_memory_may_run_out_at_any_allocation_of_the_load(settings: Settings) -> None:
    num_tensors = len(GGUFReader(settings.model).tensors)

    errors = errors_of_failed_loads(settings, "load-allocation-failure")

    assert num_tensors + 2 == len(errors)  # the KV pool, the scratch space
    for error in errors:
        assert ("INSUFFICIENT_VRAM", 0) == (error["error_kind"], error["gpu_device"])
        assert settings.model == error["model_path"]
        assert error["vram_required_bytes"] > error["vram_available_bytes"]
        assert "to give" not in error["error_message"], "there is more free than the whole model needs"


@pytest.mark.req("M0-W-1222", "M0-W-1111")
def test_a_copy_to_the_device_may_fail_at_any_piece_of_the_file(settings: Settings) -> None:
    errors = errors_of_failed_loads(settings, "upload-failure")

    assert len(errors) >= len(GGUFReader(settings.model).tensors)
    assert {"MODEL_LOAD_FAILED"} == {error["error_kind"] for error in errors}


def errors_of_failed_loads(settings: Settings, fault: str) -> list[dict[str, Any]]:
    """Start with the fault striking ever later until it does not any more; each failed start frees all."""
    errors: list[dict[str, Any]] = []
    for number in range(100):
        backend = WatchedBackend(2**30, [parse_fault(f"{fault}@{number}")])
        status, narrator = run(settings, backend)

        assert (0, True) == (backend.taken_bytes, backend.device.is_closed)
        if status == 0:
            return errors
        assert "ready" not in narrator.names()
        errors += narrator.named("error")
    raise AssertionError(f"it never starts: {errors[-1]}")


@pytest.mark.req("M0-W-1410", "M0-W-1210")
@pytest.mark.parametrize(
    ("found", "replacement"),
    [
        (b"GGUF", b"GGML"),
        (b"llama", b"mamba"),
        (b"attn_q.weight", b"attn_x.weight"),
        (b"embedding_length", b"embedding_lengtx"),
        (b"tokenizer.ggml.tokens", b"tokenizer.ggml.tokenx"),
    ],
    ids=["magic", "architecture", "missing tensor", "missing key", "missing vocabulary"],
)
def test_a_file_that_does_not_hold_is_refused_before_anything_is_allocated(
    tmp_path: Path, found: bytes, replacement: bytes
) -> None:
    settings = settings_with(tmp_path)
    model = Path(settings.model)
    model.write_bytes(model.read_bytes().replace(found, replacement))

    # An allocation, had it come first, would have failed as INSUFFICIENT_VRAM.
    status, narrator = run(settings, WatchedBackend(2**30, [parse_fault("load-allocation-failure@*")]))

    assert (1, ["MODEL_LOAD_FAILED"]) == (status, [error["error_kind"] for error in narrator.named("error")])


@pytest.mark.req("M0-W-1360", "M0-W-1364")
def test_a_tokenizer_json_is_used_and_the_choice_is_told(tmp_path: Path) -> None:
    path = write_tokenizer_json(tmp_path / "tokenizer.json", TOKENS)

    status, narrator = run(settings_with(tmp_path, tokenizer=path), WatchedBackend(2**30))
    (start,) = narrator.named("model_load_start")

    assert (0, "hf-json", "--tokenizer names it") == (
        status,
        start["tokenizer_kind"],
        start["tokenizer_reason"],
    )


@pytest.mark.req("M0-W-1360")
def test_a_tokenizer_with_ids_that_the_model_does_not_have_is_refused(tmp_path: Path) -> None:
    path = write_tokenizer_json(tmp_path / "tokenizer.json", [*TOKENS[:-2], "more", *TOKENS[-2:]])
    backend = WatchedBackend(2**30)

    status, narrator = run(settings_with(tmp_path, tokenizer=path), backend)
    (error,) = narrator.named("error")

    assert (1, "MODEL_LOAD_FAILED") == (status, error["error_kind"])
    assert path in error["error_message"]
    assert 0 == backend.taken_bytes
