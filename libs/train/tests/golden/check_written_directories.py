#!/usr/bin/env python3
"""Trains with the built binary, and has PEFT and transformers read what it wrote.

    check_written_directories.py build/bin/tributary [--write]

Adapters: over a tiny random GPT-2 and Llama, `tributary train` writes an adapter directory, PeftModel.from_pretrained reads it as it lies there, and its
logits must be other than the base's. With --write the base, the adapters as we wrote them and PEFT's logits become ../data/ours_NAME_*, on which adapter_test.cc holds
our own logits (1e-4 absolute), so that what PEFT computes from our directory is what we compute. Without it PEFT's logits on the committed adapters must be the committed
ones, to 1e-6: a newer PEFT is to read them alike.

Shards: a model written with checkpoint.max_shard_size: 1MB is read by AutoModelForCausalLM.from_pretrained, tensor for tensor the same bits as the same training
written as one file, and cut where save_pretrained(max_shard_size="1MB") cuts it.

Not part of the build. Needs torch, transformers, peft and safetensors from PyPI; written with torch 2.6.0, transformers 4.57.6, peft 0.21.2.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import torch
from golden import DATA, fill, language_batch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

TINY = {
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=257, n_layer=2, n_embd=8, n_head=2, n_positions=16, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
                                         bos_token_id=256, eos_token_id=256), "[c_attn, c_fc]"),
    "llama": (LlamaForCausalLM, LlamaConfig(vocab_size=257, num_hidden_layers=2, hidden_size=8, intermediate_size=12, num_attention_heads=2,
                                            num_key_value_heads=1, max_position_embeddings=16, tie_word_embeddings=True, bos_token_id=256,
                                            eos_token_id=256), "[q_proj, v_proj]"),
}


def train(binary, work, name, source, more):
    work.mkdir(exist_ok=True)
    (work / "text").write_text("".join(f"line {i % 17} of a text that repeats itself\n\n" for i in range(60)))
    (work / "job.yaml").write_text(
        f"name: {name}\nmodel: {{source: {source}, tokenizer: bytes}}\ndata: {{name: text, format: text, path: {work / 'text'}}}\n"
        f"train: {{mode: step, steps: 8, batch_size: 2, max_length: 16, learning_rate: 0.02, device: cpu}}\n{more}")
    subprocess.run([binary, "train", work / "job.yaml", "--work-dir", work / name, "--no-progress"], check=True, stdout=subprocess.DEVNULL)
    return work / name / "model"


def peft_logits(base, adapters, tokens):
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapters).eval()
    with torch.no_grad():
        return model(tokens).logits.flatten(0, 1)


def check_adapters(binary, name, work, write):
    kind, config, targets = TINY[name]
    model = fill(kind(config)).eval()
    model.save_pretrained(work / "base")
    tokens, targets_of = language_batch(257, rows=2, columns=8)
    ours = train(binary, work, name, work / "base", f"adapter: {{lora: {{r: 3, alpha: 6, dropout: 0.1, targets: {targets}}}}}\n")
    logits = peft_logits(work / "base", ours, tokens)
    with torch.no_grad():
        moved = (logits - model(tokens).logits.flatten(0, 1)).abs().max().item()
    assert moved > 1e-2, f"{name}: the adapters change no logit ({moved})"
    print(f"{name}: PEFT reads the adapters that we wrote; they move a logit by up to {moved:.3f}")
    if write:
        weights = {n: t.detach().contiguous() for n, t in model.named_parameters()}
        save_file(weights, DATA / f"ours_{name}_golden.safetensors", metadata={"format": "pt"})
        (DATA / f"ours_{name}_adapter.safetensors").write_bytes((ours / "adapter_model.safetensors").read_bytes())
        save_file({"logits": logits.contiguous()}, DATA / f"ours_{name}_expected.safetensors")
        golden = {"config": json.loads((work / "base/config.json").read_text()), "adapter_config": json.loads((ours / "adapter_config.json").read_text()),
                  "rows": tokens.shape[0], "columns": tokens.shape[1], "tokens": tokens.flatten().tolist(), "targets": targets_of.flatten().tolist()}
        golden["adapter_config"]["base_model_name_or_path"] = ""  # a path of the machine that wrote it
        (DATA / f"ours_{name}_golden.json").write_text(json.dumps(golden) + "\n")
        for file in DATA.glob(f"ours_{name}_*"):
            file.chmod(0o644)
    committed = work / "committed"
    committed.mkdir()
    (committed / "adapter_model.safetensors").write_bytes((DATA / f"ours_{name}_adapter.safetensors").read_bytes())
    (committed / "adapter_config.json").write_text(json.dumps(json.loads((DATA / f"ours_{name}_golden.json").read_text())["adapter_config"]))
    expected = load_file(DATA / f"ours_{name}_expected.safetensors")["logits"]
    worst = (peft_logits(work / "base", committed, tokens) - expected).abs().max().item()
    assert worst <= 1e-6, f"{name}: PEFT's logits on the committed adapters differ by {worst}"
    print(f"{name}: PEFT's logits on the committed adapters are the committed ones to {worst:.1e}")


def check_shards(binary, work):
    config = GPT2Config(vocab_size=257, n_layer=4, n_embd=128, n_head=2, n_positions=16, bos_token_id=256, eos_token_id=256)
    fill(GPT2LMHeadModel(config), seed=3).save_pretrained(work / "base")
    whole = train(binary, work, "whole", work / "base", "")
    shards = train(binary, work, "shards", work / "base", "checkpoint: {max_shard_size: 1MB}\n")
    index = json.loads((shards / "model.safetensors.index.json").read_text())
    assert not (shards / "model.safetensors").exists()
    one, cut = AutoModelForCausalLM.from_pretrained(whole), AutoModelForCausalLM.from_pretrained(shards)
    for (name, a), (_, b) in zip(one.state_dict().items(), cut.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    one.save_pretrained(work / "theirs", max_shard_size="1MB")
    theirs = json.loads((work / "theirs/model.safetensors.index.json").read_text())
    assert index["weight_map"] == theirs["weight_map"], "cut elsewhere than transformers cuts"
    assert index["metadata"]["total_size"] == theirs["metadata"]["total_size"]
    print(f"shards: transformers reads {len(set(index['weight_map'].values()))} of them, the same bits as one file, cut where it cuts")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binary", type=pathlib.Path)
    arguments.add_argument("--write", action="store_true")
    options = arguments.parse_args()
    for name in TINY:
        with tempfile.TemporaryDirectory() as work:
            check_adapters(options.binary.resolve(), name, pathlib.Path(work), options.write)
    with tempfile.TemporaryDirectory() as work:
        check_shards(options.binary.resolve(), pathlib.Path(work))


if __name__ == "__main__":
    main()
