"""Answer many prompts at once in torch, with a key-value cache, for the self-evaluation."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

from tools.haiku.feeding import prompt_ids
from tools.haiku.model import Cache, HaikuModel
from tools.haiku.tokenizer import EOS_ID

MAX_NEW_TOKENS = 64


@torch.no_grad()
def answer(
    model: HaikuModel, tokenizer: Tokenizer, prompts: Sequence[str], *, temperature: float, seed: int
) -> list[str]:
    """[prompts] answers without EOS; temperature 0 takes the likeliest token."""
    device = model.token_embd.device
    rows = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [EOS_ID] * (longest - len(row)) for row in rows], device=device)
    ends = torch.tensor([len(row) for row in rows], device=device)
    cache = Cache(model.config, len(rows), longest + MAX_NEW_TOKENS, device)
    positions = torch.arange(longest, device=device).expand(len(rows), -1)
    logits = model(ids, positions, cache)[torch.arange(len(rows), device=device), ends - 1]
    generator = torch.Generator(device).manual_seed(seed)
    new: list[Tensor] = []
    for step in range(MAX_NEW_TOKENS):
        token = choose(logits.float(), temperature, generator)
        new.append(token)
        logits = model(token[:, None], (ends + step)[:, None], cache)[:, 0]
    return [decode(tokenizer, row) for row in torch.stack(new, 1).tolist()]


def choose(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0.0:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


def decode(tokenizer: Tokenizer, ids: list[int]) -> str:
    """Text up to EOS; an answer that never ends keeps all its tokens."""
    end = ids.index(EOS_ID) if EOS_ID in ids else len(ids)
    return str(tokenizer.decode(ids[:end], skip_special_tokens=False))
