#!/usr/bin/env python3
"""Writes the case gpt_neo of ../data (golden.py says what a case is): a window shorter than the batch's rows."""
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from golden import language_case

CONFIG = {"model_type": "gpt_neo", "hidden_size": 8, "intermediate_size": None, "num_layers": 2, "num_heads": 2, "vocab_size": 29,
          "max_position_embeddings": 12, "window_size": 4, "attention_types": [[["global", "local"], 1]]}


def main():
    language_case("gpt_neo", CONFIG, lambda c: GPTNeoForCausalLM(GPTNeoConfig(**c, attn_implementation="eager")))


if __name__ == "__main__":
    main()
