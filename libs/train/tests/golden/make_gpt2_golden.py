#!/usr/bin/env python3
"""Writes ../data/gpt2_golden.{safetensors,json}: a tiny random GPT-2 and what transformers computes with it.

Not part of the build. Needs torch, transformers and safetensors from PyPI; written with torch 2.6.0, transformers 4.57.6.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
CONFIG = {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 12, "vocab_size": 29}
IGNORE = -100


def fresh_model():
    model = GPT2LMHeadModel(GPT2Config(**CONFIG, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
                                       bos_token_id=28, eos_token_id=28))
    generator = torch.Generator().manual_seed(20)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def loss_of(model, tokens, targets):
    logits = model(tokens).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


def training_losses(make, tokens, targets):
    model = fresh_model()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = make([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}])
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = loss_of(model, tokens, targets)
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return losses


def main():
    generator = torch.Generator().manual_seed(7)
    stream = torch.randint(0, CONFIG["vocab_size"], (3, 11), generator=generator)
    tokens, targets = stream[:, :-1].contiguous(), stream[:, 1:].clone()
    targets[2, 6:] = IGNORE
    model = fresh_model()
    prompt = [3, 1, 4]
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(8):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        loss = loss_of(model, tokens, targets).item()
    golden = {
        "config": CONFIG,
        "rows": 3,
        "columns": 10,
        "tokens": tokens.flatten().tolist(),
        "targets": targets.flatten().tolist(),
        "loss": loss,
        "prompt": prompt,
        "greedy": ids[len(prompt):],
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "training": {
            "adamw": training_losses(lambda p: torch.optim.AdamW(p, lr=0.01), tokens, targets),
            "adam": training_losses(lambda p: torch.optim.Adam(p, lr=0.01), tokens, targets),
            "sgd": training_losses(lambda p: torch.optim.SGD(p, lr=0.01), tokens, targets),
        },
    }
    state = {n: t.contiguous() for n, t in model.state_dict().items()
             if n != "lm_head.weight" and not n.endswith((".attn.bias", ".attn.masked_bias"))}
    DATA.mkdir(exist_ok=True)
    save_file(state, DATA / "gpt2_golden.safetensors", metadata={"format": "pt"})
    (DATA / "gpt2_golden.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
