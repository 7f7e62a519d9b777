"""GPT-2 under the tensor names of the framework it comes from, against that framework's logits."""

import dataclasses
import re

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.architectures import describe
from domain.errors import ModelLoadFailed
from tests.golden.oracle import DIRECTORY, WHOLE, computed, loaded, nmse, oracle
from tests.models.memory_file import MemoryModelFile

pytestmark = pytest.mark.req("M0-W-1215", "M0-W-1212")

NAMES = {
    "token_embd": "wte",
    "position_embd": "wpe",
    "output_norm": "ln_f",
    "output": "lm_head",
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
CONV_1D = re.compile(r".*\.c_\w+\.weight")
MAX_NMSE = 1e-6


def framework_name(name: str) -> str:
    *layer, stem, kind = name.split(".")
    return ".".join([*(("h", layer[1]) if layer else ()), NAMES[stem], kind])


def renamed(prefix: str = "") -> MemoryModelFile:
    """The file of the oracle, its matrices as they are, with other names."""
    with_names = MemoryModelFile()
    file = GgufModelFileOpener().open(str(DIRECTORY / "gpt2.gguf"))
    with_names.metadata |= dict(file.metadata)
    for tensor in file.tensors.values():
        name = prefix + framework_name(tensor.name)
        offset_bytes = len(with_names.data)
        with_names.tensors[name] = dataclasses.replace(tensor, name=name, offset_bytes=offset_bytes)
        with_names.data += bytes(file.read(tensor, offset_bytes=0, size_bytes=tensor.size_bytes))
    file.close()
    return with_names


@pytest.mark.parametrize("prefix", ["", "transformer."], ids=["bare", "prefixed"])
def test_the_logits_are_the_oracles_under_the_frameworks_names(prefix: str) -> None:
    file = renamed(prefix)
    description = describe(file)
    token_ids, expected = oracle(description)

    assert nmse(computed(loaded(description, file), token_ids, WHOLE), expected) < MAX_NMSE


def test_a_head_of_its_own_is_found_under_the_frameworks_name() -> None:
    file = renamed()
    embedding = file.tensors["wte.weight"]
    file.tensors["lm_head.weight"] = dataclasses.replace(embedding, name="lm_head.weight")

    assert "lm_head.weight" == describe(file).output.weight.name


def test_matrices_turned_as_the_framework_keeps_them_are_refused_with_their_shapes() -> None:
    file = renamed()
    for name, tensor in file.tensors.items():
        if CONV_1D.fullmatch(name):
            file.tensors[name] = dataclasses.replace(tensor, shape=tensor.shape[::-1])

    with pytest.raises(ModelLoadFailed, match=r"attn_qkv\.weight.*\[192, 64\].*\[64, 192\] \(transposed\)"):
        describe(file)


def test_one_tensor_under_both_names_is_refused() -> None:
    file = renamed()
    file.tensors["token_embd.weight"] = dataclasses.replace(
        file.tensors["wte.weight"], name="token_embd.weight"
    )

    with pytest.raises(ModelLoadFailed, match=r"token_embd\.weight"):
        describe(file)
