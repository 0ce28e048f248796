"""What the golden scripts share: a tiny model with seeded weights, what it computes, and the files that a test reads.

Not part of the build. The scripts need torch, transformers and safetensors from PyPI (ResNet's torchvision too); written with
torch 2.6.0, transformers 4.57.6 and torchvision 0.21.0. Each case NAME is three files in ../data:
NAME_golden.safetensors (weights), NAME_golden.json (config, batch, loss, greedy tokens), NAME_expected.safetensors (logits, and
the gradient of each trained weight as gradient.WEIGHT).
"""
import json
import pathlib

import torch
from safetensors.torch import save_file

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
IGNORE = -100


def fill(model, seed=20):
    """Seeded normal weights; those of norms lie around one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_((1.0 if norm else 0.0) + 0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def write(name, golden, weights, expected):
    DATA.mkdir(exist_ok=True)
    save_file({n: t.detach().contiguous() for n, t in weights.items()}, DATA / f"{name}_golden.safetensors",
              metadata={"format": "pt"})
    save_file({n: t.detach().contiguous() for n, t in expected.items()}, DATA / f"{name}_expected.safetensors")
    for kind in ("golden", "expected"):
        (DATA / f"{name}_{kind}.safetensors").chmod(0o644)
    (DATA / f"{name}_golden.json").write_text(json.dumps(golden) + "\n")


def language_batch(vocabulary, rows=3, columns=10, seed=7):
    generator = torch.Generator().manual_seed(seed)
    stream = torch.randint(0, vocabulary, (rows, columns + 1), generator=generator)
    tokens, targets = stream[:, :-1].contiguous(), stream[:, 1:].clone()
    targets[-1, 6:] = IGNORE
    return tokens, targets


def language_loss(model, tokens, targets):
    logits = model(tokens).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


def language_expected(model, tokens, targets):
    """Logits and gradients of a model whose tied output weight stands once among its named parameters."""
    model.zero_grad()
    with torch.no_grad():
        expected = {"logits": model(tokens).logits.flatten(0, 1)}
    language_loss(model, tokens, targets).backward()
    for name, parameter in model.named_parameters():
        expected["gradient." + name] = parameter.grad
    model.zero_grad()
    return expected


def greedy(model, prompt, count=8):
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt):]


def language_case(name, config, make):
    """`make` gives the transformers model of `config`, a dict as it stands in a config.json."""
    model = fill(make(config)).eval()
    tokens, targets = language_batch(config["vocab_size"])
    prompt = [3, 1, 4]
    golden = {
        "config": config,
        "rows": tokens.shape[0],
        "columns": tokens.shape[1],
        "tokens": tokens.flatten().tolist(),
        "targets": targets.flatten().tolist(),
        "loss": language_loss(model, tokens, targets).item(),
        "prompt": prompt,
        "greedy": greedy(model, prompt),
    }
    write(name, golden, dict(model.named_parameters()), language_expected(model, tokens, targets))
