#!/usr/bin/env python3
"""Writes the cases opt, opt_post_norm and opt_bare of ../data (golden.py says what a case is)."""
from transformers import OPTConfig, OPTForCausalLM
from transformers.models.opt.modeling_opt import OPTPreTrainedModel

from golden import language_case

SIZES = {"model_type": "opt", "hidden_size": 8, "ffn_dim": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 29,
         "max_position_embeddings": 12}
OPT = {**SIZES, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2}
# As opt-350m: norms after each layer, embeddings of another width.
POST_NORM = {**SIZES, "do_layer_norm_before": False, "word_embed_proj_dim": 6}
# As Galactica: neither biases nor weights of norms; and an output weight of its own.
BARE = {**SIZES, "activation_function": "gelu", "enable_bias": False, "layer_norm_elementwise_affine": False,
        "tie_word_embeddings": False, "pad_token_id": None}


def main():
    OPTPreTrainedModel._init_weights = lambda self, module: None  # transformers' own expects weights in each norm
    for name, config in (("opt", OPT), ("opt_post_norm", POST_NORM), ("opt_bare", BARE)):
        language_case(name, config, lambda c: OPTForCausalLM(OPTConfig(**c, dropout=0.0, attn_implementation="eager")))


if __name__ == "__main__":
    main()
