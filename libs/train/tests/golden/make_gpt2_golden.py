#!/usr/bin/env python3
"""Writes the case gpt2 of ../data (golden.py says what a case is), and losses of a few steps of each optimizer."""
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from golden import IGNORE, greedy, language_expected, language_loss, write

CONFIG = {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 12, "vocab_size": 29}


def fresh_model():
    model = GPT2LMHeadModel(GPT2Config(**CONFIG, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
                                       bos_token_id=28, eos_token_id=28))
    generator = torch.Generator().manual_seed(20)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def training_losses(make, tokens, targets):
    model = fresh_model()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = make([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}])
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = language_loss(model, tokens, targets)
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
    golden = {
        "config": CONFIG,
        "rows": 3,
        "columns": 10,
        "tokens": tokens.flatten().tolist(),
        "targets": targets.flatten().tolist(),
        "loss": language_loss(model, tokens, targets).item(),
        "prompt": prompt,
        "greedy": greedy(model, prompt),
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "training": {
            "adamw": training_losses(lambda p: torch.optim.AdamW(p, lr=0.01), tokens, targets),
            "adam": training_losses(lambda p: torch.optim.Adam(p, lr=0.01), tokens, targets),
            "sgd": training_losses(lambda p: torch.optim.SGD(p, lr=0.01), tokens, targets),
        },
    }
    write("gpt2", golden, dict(model.named_parameters()), language_expected(model, tokens, targets))


if __name__ == "__main__":
    main()
