#!/usr/bin/env python3
"""Writes the cases llama, llama_biased and mistral of ../data (golden.py says what a case is)."""
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from golden import language_case

SIZES = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 31,
         "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "silu"}

# As Llama 3.1: grouped queries, an output weight of its own; heads wider than hidden / heads; the three regions of its rope scaling.
LLAMA = {"model_type": "llama", **SIZES, "num_key_value_heads": 2, "head_dim": 6, "tie_word_embeddings": False,
         "rope_theta": 100.0, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": [2, 4],
         "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 64}}
BIASED = {"model_type": "llama", **SIZES, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True,
          "rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.5}}
MISTRAL = {"model_type": "mistral", **SIZES, "num_key_value_heads": 1, "sliding_window": 4, "tie_word_embeddings": False,
           "rope_theta": 10000.0}


def main():
    for name, config in (("llama", LLAMA), ("llama_biased", BIASED)):
        language_case(name, config, lambda c: LlamaForCausalLM(LlamaConfig(**c, attn_implementation="eager")))
    language_case("mistral", MISTRAL, lambda c: MistralForCausalLM(MistralConfig(**c, attn_implementation="eager")))


if __name__ == "__main__":
    main()
