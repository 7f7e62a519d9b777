"""Which block type each matrix gets in the files; no torch, the exporter and the trainer share it."""

MIXES = ("F16", "Q8_0", "Q4_0", "MXFP4", "Q4_K_M")
FILE_TYPES = {"F16": 1, "Q8_0": 7, "Q4_0": 2, "MXFP4": 38, "Q4_K_M": 15}
"""`general.file_type` of each mix."""


def uses_more_bits(layer: int, num_layers: int) -> bool:
    """The first eighth, the last eighth and every third layer between, as llama.cpp's Q4_K_M."""
    eighth = num_layers // 8
    return layer < eighth or layer >= 7 * num_layers // 8 or (layer - eighth) % 3 == 2


def tensor_kind(name: str, mix: str, num_layers: int) -> str:
    """Block type of a tensor by its GGUF name: norms stay F32, Q4_K_M is a mixture."""
    if name.endswith("_norm.weight"):
        return "F32"
    if mix != "Q4_K_M":
        return mix
    if name == "token_embd.weight":
        return "Q6_K"
    layer = int(name.split(".")[1])
    heavy = name.endswith(("attn_v.weight", "ffn_down.weight"))
    return "Q6_K" if heavy and uses_more_bits(layer, num_layers) else "Q4_K"
