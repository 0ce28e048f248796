#!/usr/bin/env python3
"""Writes the cases resnet_cifar, resnet_imagenet and resnet_transformers of ../data: ResNets of basic blocks in plain PyTorch, their
weights named as torchvision's resnet18, and transformers' own. The files are those of golden.py, for images: pixels and after_step.STATISTIC stand in the expected tensors,
logits are those of evaluation. That the names are torchvision's is checked here too."""
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from transformers import ResNetConfig, ResNetForImageClassification

from golden import IGNORE, fill, write


class Block(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        widths = config["hidden_sizes"]
        self.cifar = config["stem"] == "cifar"
        kernel, stride = (3, 1) if self.cifar else (7, 2)
        self.conv1 = nn.Conv2d(config.get("num_channels", 3), widths[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = widths[0]
        for stage, (depth, width) in enumerate(zip(config["depths"], widths)):
            blocks = []
            for i in range(depth):
                blocks.append(Block(before, width, 2 if stage > 0 and i == 0 else 1))
                before = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, config["num_labels"])

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.fc(x.mean((2, 3)))


def weights_of(model):
    return {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}


def check_names():
    full = ResNet({"depths": [2] * 4, "hidden_sizes": [64, 128, 256, 512], "stem": "imagenet", "num_labels": 1000})
    theirs = torchvision.models.resnet18()
    assert {n: t.shape for n, t in full.state_dict().items()} == {n: t.shape for n, t in theirs.state_dict().items()}
    theirs.load_state_dict(full.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(full.eval()(images), theirs.eval()(images), atol=1e-5)


class Transformers(nn.Module):
    """transformers' ResNet, its logits alone; names without the wrapper's."""

    def __init__(self, config):
        super().__init__()
        self.inner = ResNetForImageClassification(ResNetConfig.from_dict(dict(config)))

    def forward(self, x):
        return self.inner(x).logits

    def named_parameters(self, *arguments, **words):
        return self.inner.named_parameters(*arguments, **words)

    def named_buffers(self, *arguments, **words):
        return self.inner.named_buffers(*arguments, **words)

    def state_dict(self, *arguments, **words):
        return self.inner.state_dict(*arguments, **words)


def case(name, config, rows, side, make=ResNet):
    model = fill(make(config))
    generator = torch.Generator().manual_seed(9)
    for n, statistic in list(model.named_buffers()):
        if n.endswith("running_mean"):
            statistic.copy_(0.2 * torch.randn(statistic.shape, generator=generator))
        elif n.endswith("running_var"):
            statistic.copy_(0.5 + torch.rand(statistic.shape, generator=generator))
    weights = {n: t.detach().clone() for n, t in weights_of(model).items()}
    pixels = torch.randn(rows, config.get("num_channels", 3), side, side, generator=generator)
    labels = torch.randint(0, config.get("num_labels", len(config.get("id2label", ()))), (rows,), generator=generator)
    expected = {"pixels": pixels}
    model.eval()
    with torch.no_grad():
        logits = model(pixels)
    labels[0], labels[1] = logits[0].argmax(), IGNORE
    expected["logits"] = logits
    golden = {"config": config, "rows": rows, "side": side, "labels": labels.tolist(),
              "loss": F.cross_entropy(logits, labels, ignore_index=IGNORE).item(),
              "correct": int((logits.argmax(1) == labels).sum())}
    model.train()
    loss = F.cross_entropy(model(pixels), labels, ignore_index=IGNORE)
    golden["training_loss"] = loss.item()
    loss.backward()
    for n, parameter in model.named_parameters():
        expected["gradient." + n] = parameter.grad
    for n, statistic in model.named_buffers():
        if not n.endswith("num_batches_tracked"):
            expected["after_step." + n] = statistic
    write(name, golden, weights, expected)


def main():
    check_names()
    sizes = {"model_type": "resnet", "layer_type": "basic", "num_labels": 5}
    case("resnet_cifar", {**sizes, "depths": [2, 1, 1, 1], "hidden_sizes": [3, 4, 4, 5], "stem": "cifar"}, 4, 9)
    case("resnet_imagenet", {**sizes, "depths": [1, 1, 1, 2], "hidden_sizes": [2, 3, 4, 4], "stem": "imagenet",
                            "num_channels": 1}, 4, 33)
    case("resnet_transformers", {"model_type": "resnet", "architectures": ["ResNetForImageClassification"], "layer_type": "basic", "depths": [1, 2, 1, 1],
                                "hidden_sizes": [3, 3, 4, 5], "embedding_size": 3, "hidden_act": "relu", "downsample_in_first_stage": False, "num_channels": 3,
                                "id2label": {str(i): f"class {i}" for i in range(5)}, "label2id": {f"class {i}": i for i in range(5)}}, 4, 33,
         Transformers)


if __name__ == "__main__":
    main()
