#!/usr/bin/env python3
"""Tiny TorchScript modules, and their losses over a few steps of SGD: data/script_*.pt and data/script_golden.json.

    make_script_golden.py DATA-DIRECTORY

Made with torch 2.6; libtorch 1.13 and later read them.
"""
import json
import sys
from pathlib import Path
from typing import Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Text(nn.Module):
    """Predicts the next token from this one; the output's weight is the embedding's."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(32, 8)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 32, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor:
        tokens, targets = batch
        logits = self.head(torch.tanh(self.mix(self.embed(tokens))))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


class Image(nn.Module):
    """A batch norm is among it: its running mean is a buffer, which does not travel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.out = nn.Linear(4, 5)

    def forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor:
        pixels, labels = batch
        x = torch.relu(self.norm(self.conv(pixels)))
        return F.cross_entropy(self.out(x.mean(dim=(2, 3))), labels)


class Bytes(nn.Module):
    """Of the size that jobs without a tokenizer have: 256 bytes and the end of a text."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(257, 16)
        self.head = nn.Linear(16, 257)

    def forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor:
        tokens, targets = batch
        return F.cross_entropy(self.head(self.embed(tokens)).flatten(0, 1), targets.flatten(), ignore_index=-100)


class Dropped(nn.Module):
    def __init__(self):
        super().__init__()
        self.text = Text()
        self.drop = nn.Dropout(0.5)
        self.gain = nn.Parameter(torch.ones(8))

    def forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor:
        tokens, targets = batch
        hidden = self.drop(self.text.embed(tokens) * self.gain)
        return F.cross_entropy(self.text.head(hidden).flatten(0, 1), targets.flatten(), ignore_index=-100)


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow = nn.Parameter(torch.ones(3, dtype=torch.float16))

    def forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor:
        return self.narrow.float().sum()


class Empty(nn.Module):
    def forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor:
        return batch[1].float().mean()


class Signature(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3))

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        return self.w.sum() + targets.float().mean()


class Loss(nn.Module):
    """What forward gives is chosen by the first token: a vector, not finite, without gradient, an error."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3))

    def forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor:
        kind = int(batch[0][0, 0])
        if kind == 0:
            return self.w * 2
        if kind == 1:
            return self.w.sum() / 0
        if kind == 2:
            return batch[1].float().mean()
        return self.w @ torch.ones(4)


def save(module, path):
    scripted = torch.jit.script(module)
    scripted.save(str(path))
    return scripted


def losses(module, batch, rate, steps):
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=rate)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = module(batch)
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return values


def main():
    data = Path(sys.argv[1])
    torch.manual_seed(4)
    golden = {'learning_rate': 0.5, 'steps': 5}
    rate, steps = golden['learning_rate'], golden['steps']

    text = Text()
    save(text, data / 'script_text.pt')
    tokens = torch.randint(32, (3, 6))
    targets = torch.randint(32, (3, 6))
    targets[0, :2] = -100
    targets[2, 5] = -100
    text.eval()
    golden['text'] = {'rows': 3, 'columns': 6, 'tokens': tokens.flatten().tolist(), 'targets': targets.flatten().tolist(),
                      'names': [name for name, _ in text.named_parameters()],
                      'evaluated': text((tokens, targets)).item(), 'losses': losses(text, (tokens, targets), rate, steps)}

    image = Image()
    save(image, data / 'script_image.pt')
    pixels = torch.rand(4, 3, 6, 5)
    labels = torch.randint(5, (4,))
    image.eval()
    golden['image'] = {'rows': 4, 'channels': 3, 'height': 6, 'width': 5, 'pixels': pixels.flatten().tolist(), 'labels': labels.tolist(),
                       'names': [name for name, _ in image.named_parameters()],
                       'evaluated': image((pixels, labels)).item(), 'losses': losses(image, (pixels, labels), rate, steps)}

    for name, module in {'dropout': Dropped(), 'half': Half(), 'empty': Empty(), 'signature': Signature(), 'loss': Loss(), 'bytes': Bytes()}.items():
        save(module, data / f'script_{name}.pt')
    (data / 'script_golden.json').write_text(json.dumps(golden, indent=1) + '\n')


if __name__ == '__main__':
    main()
