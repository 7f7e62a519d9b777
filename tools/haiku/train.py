"""Train the haiku model. On the GPU: python -m tools.haiku.train --out DIR. On a laptop: add --toy.

The schedule follows the clock, not the step: warm-up, cosine, and from `--quant-from` of the time on
the weights are seen through fake quantization, so that the Q4_K_M file is what was trained.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from math import cos, pi
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor
from torch.nn import functional

from tools.haiku.checkpoint import load_checkpoint, save_checkpoint
from tools.haiku.corpus import MEASURED, MIXES, random_pairs
from tools.haiku.fake_quant import fake_q4_k, fake_q6_k, no_quant
from tools.haiku.feeding import Batch, Feeder
from tools.haiku.model import HaikuModel, Linear, ModelConfig
from tools.haiku.quant_mix import tensor_kind
from tools.haiku.sampling import answer
from tools.haiku.scoring import HEADER, score
from tools.haiku.tokenizer import load_tokenizer

WARM_UP_SHARE = 0.02
LAST_RATE = 0.02
HELD_OUT_SEED = 900_001
TOY = ModelConfig(num_layers=2, intermediate_size=256)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0, help="training time, evaluation aside")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=1536)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--quant-from", type=float, default=0.6)
    parser.add_argument("--start", type=Path, help="folder of a checkpoint to continue from")
    parser.add_argument("--mix", choices=MIXES, default="training", help="what the prompts ask for")
    parser.add_argument("--toy", action="store_true", help="a tiny model on the CPU, to test the script")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    torch.set_float32_matmul_precision("high")
    feeder, long_feeder = make_feeders(arguments)
    device = torch.device("cpu" if arguments.toy else "cuda")
    model = HaikuModel(TOY if arguments.toy else ModelConfig())
    if arguments.start:
        model.load_state_dict(load_checkpoint(arguments.start))
    model.to(device)
    with (arguments.out / "training_log.jsonl").open("a", encoding="utf-8") as log:
        write(log, **run_facts(arguments, model))
        train(model, arguments, feeder, long_feeder, log)
        feeder.close()
        long_feeder.close()
        save_checkpoint(model, arguments.out)
        for line in evaluate(model, 16 if arguments.toy else 1000):
            print(line, flush=True)
            write(log, table=line)


def run_facts(arguments: argparse.Namespace, model: HaikuModel) -> dict[str, object]:
    """What makes the run repeatable: seed, sizes, machine and versions."""
    device = model.token_embd.device
    return {
        "arguments": {k: str(v) if isinstance(v, Path) else v for k, v in vars(arguments).items()},
        "config": asdict(model.config),
        "parameters": sum(p.numel() for p in model.parameters()),
        "machine": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def make_feeders(arguments: argparse.Namespace) -> tuple[Feeder, Feeder]:
    """The plain feeder and that of long prompts; their processes must split before CUDA starts."""
    rows, num_workers = (16, 1) if arguments.toy else (arguments.batch_size, arguments.workers)
    seed, mix = arguments.seed * 1000, MIXES[arguments.mix]
    plain = Feeder(
        mix, num_workers=num_workers, seed=seed, batch_size=rows, length=arguments.length, long_share=0.0
    )
    long = Feeder(mix, num_workers=1, seed=seed + 500, batch_size=rows // 8, length=400, long_share=0.9)
    return plain, long


def train(
    model: HaikuModel, arguments: argparse.Namespace, feeder: Feeder, long_feeder: Feeder, log: TextIO
) -> None:
    device = model.token_embd.device
    loss_of = loss_function(model) if arguments.toy else torch.compile(loss_function(model))
    plain_loss = loss_function(model)
    optimizer = make_optimizer(model, arguments.rate)
    start, step, quantized = time.monotonic(), 0, False
    while (done := (time.monotonic() - start) / (60 * arguments.minutes)) < 1.0:
        if done >= arguments.quant_from and not quantized:
            quantized = set_quantized(model, True)
        is_long = step % 24 == 23
        batch = (long_feeder if is_long else feeder).next()
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * rate_share(done)
        loss = (plain_loss if is_long else loss_of)(*to_device(batch, device))
        torch.autograd.backward([loss])
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % 100 == 0 or step < 5:
            facts = {"loss": round(loss.item(), 4), "norm": round(norm.item(), 3), "long": is_long}
            counts = {"fresh": feeder.num_fresh, "repeated": feeder.num_repeated}
            seconds = round(time.monotonic() - start, 1)
            write(log, step=step, seconds=seconds, quantized=quantized, **facts, **counts)


def loss_function(model: HaikuModel) -> Callable[[Tensor, Tensor], Tensor]:
    """Weighted mean cross entropy of the answer's tokens, EOS among them; the prompt is not learned."""

    def loss(ids: Tensor, weights: Tensor) -> Tensor:
        with torch.autocast(ids.device.type, torch.bfloat16):
            logits = model(ids[:, :-1])
        targets, counted = ids[:, 1:].flatten(), weights[:, 1:].flatten()
        every = functional.cross_entropy(logits.float().flatten(0, 1), targets, reduction="none")
        return (every * counted).sum() / counted.sum()

    return loss


def to_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    ids, weights = (torch.from_numpy(part).to(device, non_blocking=True).long() for part in batch)
    return ids, weights


def make_optimizer(model: HaikuModel, rate: float) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=model.token_embd.is_cuda)


def rate_share(done: float) -> float:
    """Share of the full rate after a share `done` of the time."""
    if done < WARM_UP_SHARE:
        return done / WARM_UP_SHARE + 1e-3
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + cos(pi * (done - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)))


def set_quantized(model: HaikuModel, on: bool) -> bool:
    """Show every matrix as the Q4_K_M file will hold it, or as it is."""
    kinds = {"Q4_K": fake_q4_k, "Q6_K": fake_q6_k}
    num_layers = model.config.num_layers
    for name, module in model.named_modules():
        if isinstance(module, Linear):
            kind = tensor_kind(f"{name}.weight", "Q4_K_M", num_layers)
            module.quant = kinds[kind] if on else no_quant
    model.embedding_quant = fake_q6_k if on else no_quant
    return on


def evaluate(model: HaikuModel, num_prompts: int) -> list[str]:
    """Markdown lines: fresh prompts at temperature 0 and 0.8, real weights and as quantized."""
    tokenizer = load_tokenizer()
    model.eval()
    pairs = islice(random_pairs(HELD_OUT_SEED, MEASURED), num_prompts)
    requests = [request for request, _ in pairs]
    lines = [HEADER]
    for on in (False, True):
        set_quantized(model, on)
        for temperature in (0.0, 0.8):
            prompts = [r.prompt for r in requests]
            answers = answer(model, tokenizer, prompts, temperature=temperature, seed=HELD_OUT_SEED)
            name = f"{'fake Q4_K_M' if on else 'float'}, temperature {temperature}"
            lines.append(score(requests, answers).row(name))
    return lines


def write(log: TextIO, **facts: object) -> None:
    line = json.dumps(facts)
    log.write(line + "\n")
    log.flush()
    if "loss" in facts:
        print(line, flush=True)


if __name__ == "__main__":
    main()
