#!/usr/bin/env python3
"""Writes ../data/lora_golden.{safetensors,json} and ../data/nf4_golden.json: what PEFT and bitsandbytes compute.

LoRA on the tiny GPT-2 of gpt2_golden.safetensors: PEFT's adapter file, logits, losses of four steps in which only adapters are
trained, and the same over a base in NF4. Not part of the build. Needs torch, transformers, peft, bitsandbytes and safetensors from
PyPI; written with torch 2.6.0, transformers 4.57.6, peft 0.21.2, bitsandbytes 0.50.2.
"""
import json
import pathlib

import bitsandbytes.functional as bnb
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
RANK, ALPHA, TARGETS = 3, 6, ["c_attn", "c_fc"]


def base_model(golden, quantized=None):
    model = GPT2LMHeadModel(GPT2Config(**golden["config"], attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0))
    weights = load_file(DATA / "gpt2_golden.safetensors")
    if quantized is not None:
        for name, tensor in weights.items():
            if ".c_" in name and name.endswith("weight"):
                # In one row: bitsandbytes 0.50's CPU kernel gives other values where rows are half a block long.
                packed, state = bnb.quantize_4bit(tensor.reshape(1, -1), blocksize=64, quant_type="nf4", compress_statistics=quantized)
                weights[name] = bnb.dequantize_4bit(packed, state).reshape(tensor.shape)
    missing, extra = model.load_state_dict(weights, strict=False)
    assert not extra and missing == ["lm_head.weight"], (missing, extra)
    model.tie_weights()
    return model


def adapted(golden, quantized=None):
    model = get_peft_model(base_model(golden, quantized), LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=TARGETS, fan_in_fan_out=True, task_type="CAUSAL_LM"))
    generator = torch.Generator().manual_seed(33)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def loss_of(model, tokens, targets):
    logits = model(tokens).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


def record(golden, quantized=None):
    tokens = torch.tensor(golden["tokens"]).view(golden["rows"], golden["columns"])
    targets = torch.tensor(golden["targets"]).view(golden["rows"], golden["columns"])
    model = adapted(golden, quantized)
    with torch.no_grad():
        logits = model(tokens).logits.flatten().tolist()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01, weight_decay=0.1)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = loss_of(model, tokens, targets)
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    return {"logits": logits, "losses": losses}


def main():
    golden = json.loads((DATA / "gpt2_golden.json").read_text())
    model = adapted(golden)
    state = {n: t.contiguous() for n, t in get_peft_model_state_dict(model).items()}
    save_file(state, DATA / "lora_golden.safetensors", metadata={"format": "pt"})
    (DATA / "lora_golden.json").write_text(json.dumps({
        "rank": RANK, "alpha": ALPHA, "targets": TARGETS, "learning_rate": 0.01, "weight_decay": 0.1,
        "native": record(golden), "nf4": record(golden, False), "nf4_double": record(golden, True)}) + "\n")

    generator = torch.Generator().manual_seed(5)
    values = torch.randn(37, 29, generator=generator)  # a short last block
    values[3:6] *= 40
    values[10:13] = 0
    out = {"shape": list(values.shape), "values": values.flatten().tolist()}
    for key, double in (("nf4", False), ("nf4_double", True)):
        packed, quant = bnb.quantize_4bit(values, blocksize=64, quant_type="nf4", compress_statistics=double)
        out[key] = bnb.dequantize_4bit(packed, quant).flatten().tolist()
    out["levels"] = bnb.get_4bit_type("nf4", device="cpu").tolist()
    out["dynamic_code_book"] = bnb.create_dynamic_map().tolist()
    (DATA / "nf4_golden.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
