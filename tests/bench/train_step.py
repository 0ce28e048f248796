#!/usr/bin/env python3
"""Compares `tributary train` with transformers (and PEFT) on the same model directory, text and optimizer steps.

    train_step.py --tributary build/bin/tributary --python PYTHON [--newer PYTHON] [--case gpt2-small,...] [--repeats 2] [--json FILE]

PYTHON has torch, transformers, safetensors and, for --case with lora, peft: for the comparison on the same libtorch, Debian's python3-torch. Each run is a
process of its own; the systems alternate. A run trains two rounds of --steps optimizer steps (AdamW, clipping at 1, a fresh optimizer each) and the second
one counts: tokens and CPU seconds. The peak of transformers counts from when the model is loaded; ours is that of the whole process. The best of the repeats counts, of
times the least and of peaks the least. Dropout is 0. Not part of the test suite: it takes minutes and asserts nothing.

On a GPU, with tributary built against a libtorch that has CUDA (docs/devices.md):

    train_step.py --tributary build/bin/tributary --python PYTHON --device cuda --precision bf16 --models gpt2-124m --modes full --batch 16 --length 512 --steps 50

There the peak is what libtorch's allocator held of the GPU (torch.cuda.max_memory_reserved on the other side), and bf16 in transformers is autocast, as its Trainer's is.
"""
import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_positions": 1024, "attn_pdrop": 0.0, "embd_pdrop": 0.0,
        "resid_pdrop": 0.0, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "initializer_range": 0.02}
SMOLLM = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 49152, "max_position_embeddings": 2048, "hidden_size": 576,
          "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
          "tie_word_embeddings": True, "hidden_act": "silu", "initializer_range": 0.04, "bos_token_id": 0, "eos_token_id": 0}
MODELS = {
    "gpt2-small": ({**GPT2, "n_layer": 6, "n_embd": 512, "n_head": 8}, 4),
    "gpt2-124m": ({**GPT2, "n_layer": 12, "n_embd": 768, "n_head": 12}, 2),
    "smollm-6l": ({**SMOLLM, "num_hidden_layers": 6}, 4),
    "smollm-135m": ({**SMOLLM, "num_hidden_layers": 30}, 4),
}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_of_this_process():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def make(directory, name):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    config = MODELS[name][0]
    os.makedirs(directory)
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(**config)).save_pretrained(directory, safe_serialization=True)


def child(spec):
    """One run in transformers; its figures are the last line of its output."""
    begun = time.perf_counter()
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(spec["threads"])
    model = AutoModelForCausalLM.from_pretrained(spec["model"], torch_dtype=torch.float32)
    model.config.use_cache = False
    if spec["checkpointing"]:
        model.gradient_checkpointing_enable()
    if spec["lora"]:
        from peft import LoraConfig, get_peft_model
        if spec["checkpointing"]:
            model.enable_input_require_grads()
        gpt2 = model.config.model_type == "gpt2"
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, fan_in_fan_out=gpt2, target_modules=["c_attn"] if gpt2 else ["q_proj", "v_proj"],
                                                 task_type="CAUSAL_LM"))
    model.train()
    cuda = spec["device"] == "cuda"
    model.to(spec["device"])
    with open(spec["text"], "rb") as file:
        text = file.read()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    tokens = spec["batch"] * spec["length"]
    position = 0
    first = time.perf_counter() - begun
    with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
        clear.write("5")
    loaded = peak_of_this_process()
    for _ in range(2):
        optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.0)
        losses = []
        started, cpu = time.perf_counter(), cpu_seconds()
        for _ in range(spec["steps"]):
            ids = torch.tensor(list(text[position:position + tokens])).view(spec["batch"], spec["length"]).to(spec["device"])
            position += tokens
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(spec["device"], dtype=torch.bfloat16, enabled=spec["precision"] == "bf16"):
                loss = model(input_ids=ids, labels=ids).loss
            losses.append(loss.detach())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
        if cuda:
            torch.cuda.synchronize()
        seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
        del optimizer
        model.zero_grad(set_to_none=True)
    print(json.dumps({"tokens_per_second": spec["steps"] * tokens / seconds, "cpu_seconds_per_step": cpu / spec["steps"],
                      "peak_bytes": torch.cuda.max_memory_reserved() if cuda else peak_of_this_process(),
                      "loaded_bytes": loaded, "seconds_to_first_step": first, "loss": torch.stack(losses).mean().item(), "torch": torch.__version__}))


def run_transformers(python, spec):
    environment = {**os.environ, "OMP_NUM_THREADS": str(spec["threads"]), "OPENBLAS_NUM_THREADS": str(spec["threads"]), "HF_HUB_OFFLINE": "1"}
    out = subprocess.run([python, os.path.abspath(__file__), "--child", json.dumps(spec)], env=environment, check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE if not os.environ.get("VERBOSE") else None)
    return json.loads(out.stdout.splitlines()[-1])


def run_tributary(binary, spec, scratch):
    work = os.path.join(scratch, "work")
    shutil.rmtree(work, ignore_errors=True)
    job = {"name": "step", "rounds": 2, "model": {"source": spec["model"], "tokenizer": "bytes"},
           "data": {"name": "text", "format": "text", "path": spec["text"], "validation_fraction": 0, "partition": {"count": 1}},
           "train": {"mode": "step", "steps": spec["steps"], "batch_size": spec["batch"], "max_length": spec["length"], "learning_rate": 2e-4, "schedule": "constant",
                     "weight_decay": 0, "clip_norm": 1.0, "optimizer": "adamw", "threads": spec["threads"], "device": spec["device"], "precision": spec["precision"],
                     "gradient_checkpointing": spec["checkpointing"]}}
    if spec["lora"]:
        job["adapter"] = {"lora": {"r": 8, "alpha": 16}}
    path = os.path.join(scratch, "job.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(job, file)
    subprocess.run([binary, "train", path, "--work-dir", work, "--no-progress"], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(work, "summary.json"), encoding="utf-8") as file:
        summary = json.load(file)
    second = summary["rounds"][1]
    return {"tokens_per_second": second["metrics"]["tokens_per_second"], "cpu_seconds_per_step": second["cpu_seconds"] / spec["steps"],
            "peak_bytes": summary["cuda_peak_bytes" if spec["device"] == "cuda" else "peak_rss_bytes"], "seconds_to_first_step": summary["seconds_to_first_step"], "loss": second["metrics"]["train_loss"]}


def best(runs):
    figures = dict(runs[0])
    for run in runs[1:]:
        figures["tokens_per_second"] = max(figures["tokens_per_second"], run["tokens_per_second"])
        for key in ("cpu_seconds_per_step", "peak_bytes", "seconds_to_first_step"):
            figures[key] = min(figures[key], run[key])
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--tributary", default="build/bin/tributary")
    parser.add_argument("--python", help="with torch of the libtorch that tributary loads")
    parser.add_argument("--newer", help="with another torch, for information")
    parser.add_argument("--models", default="gpt2-small,smollm-6l", help="of " + ", ".join(MODELS))
    parser.add_argument("--modes", default="full,full+ckpt,lora,lora+ckpt")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--batch", type=int, help="rows (default: the model's in this file)")
    parser.add_argument("--length", type=int, default=128, help="tokens a row")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--scratch", help="for models and work directories (default: a new one under /tmp)")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return
    if arguments.make:
        make(*arguments.make)
        return
    scratch = arguments.scratch or tempfile.mkdtemp(prefix="train-step-")
    os.makedirs(scratch, exist_ok=True)
    words = random.Random(1)
    text = os.path.join(scratch, "text.txt")
    with open(text, "w", encoding="ascii") as file:
        for _ in range(max(4000, 2 * arguments.steps * arguments.length * (arguments.batch or 4) // 60)):
            file.write(" ".join("".join(words.choices("etaoinshrdlu", k=words.randint(1, 9))) for _ in range(12)) + "\n\n")
    results = []
    print("| case | threads | system | tokens/s | CPU s/step | peak MiB | to first step, s | loss |\n|---|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.models.split(","):
        directory = os.path.join(scratch, name)
        if not os.path.exists(directory):
            subprocess.run([arguments.python, os.path.abspath(__file__), "--make", directory, name], check=True)
        for mode in arguments.modes.split(","):
            for threads in (int(part) for part in arguments.threads.split(",")):
                spec = {"model": directory, "text": text, "batch": arguments.batch or MODELS[name][1], "length": arguments.length, "device": arguments.device,
                        "precision": arguments.precision, "steps": arguments.steps, "threads": threads, "lora": "lora" in mode,
                        "checkpointing": "ckpt" in mode}
                systems = {"tributary": lambda spec=spec: run_tributary(arguments.tributary, spec, scratch)}
                if arguments.python:
                    systems["transformers"] = lambda spec=spec: run_transformers(arguments.python, spec)
                if arguments.newer:
                    systems["newer"] = lambda spec=spec: run_transformers(arguments.newer, spec)
                runs = {system: [] for system in systems}
                for _ in range(arguments.repeats):
                    for system, run in systems.items():
                        runs[system].append(run())
                row = {system: best(figures) for system, figures in runs.items()}
                for system, f in row.items():
                    print(f"| {name} {mode} | {threads} | {system} | {f['tokens_per_second']:.0f} | {f['cpu_seconds_per_step']:.3f} | {f['peak_bytes'] / 2**20:.0f} | "
                          f"{f['seconds_to_first_step']:.2f} | {f['loss']:.3f} |", flush=True)
                if "transformers" in row:
                    ours, theirs = row["tributary"], row["transformers"]
                    print(f"| {name} {mode} | {threads} | ratio | {ours['tokens_per_second'] / theirs['tokens_per_second']:.2f} | "
                          f"{ours['cpu_seconds_per_step'] / theirs['cpu_seconds_per_step']:.2f} | {ours['peak_bytes'] / theirs['peak_bytes']:.2f} | | |", flush=True)
                results.append({"model": name, "mode": mode, "threads": threads, "systems": row})
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    if not arguments.scratch:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    sys.exit(main())
