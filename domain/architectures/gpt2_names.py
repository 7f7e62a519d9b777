"""GPT-2's tensor names in the framework it comes from, as aliases of those in the file format (DEC-36).

A name says nothing about a matrix's orientation: the framework keeps [in, out] where the format keeps
[out, in], and a file that copied it so is refused by the shape of `c_attn`, which is never square.
Source: transformers, `modeling_gpt2.py`.
"""

import re
from collections.abc import Iterable

_NAME = re.compile(r"(?:transformer\.)?(?:h\.(?P<layer>\d+)\.)?(?P<stem>.+)\.(?P<kind>weight|bias)")
_STEMS = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "lm_head": "output",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def framework_aliases(names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that are the framework's, by the name the format has for the same tensor."""
    aliases: dict[str, str] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match and match["stem"] in _STEMS:
            prefix = f"blk.{match['layer']}." if match["layer"] else ""
            aliases[f"{prefix}{_STEMS[match['stem']]}.{match['kind']}"] = name
    return aliases
