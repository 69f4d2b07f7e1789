# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a small Lfm2Moe checkpoint with its tokenizer: random weights in the architecture of LFM2.5-8B-A1B.

Runs inside the test image, which has torch, transformers and tokenizers. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Lfm2MoeConfig, Lfm2MoeForCausalLM, PreTrainedTokenizerFast

SEED = 20261122
VOCABULARY = 8192
CONTEXT = 16384
CORPUS_BYTES = 6_000_000
PAD, START, END, UNKNOWN = "<|pad|>", "<|startoftext|>", "<|im_end|>", "<|unk|>"
MARKERS = ["<|im_start|>", "<|tool_call_start|>", "<|tool_call_end|>", "<think>", "</think>"]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def corpus() -> Iterator[str]:
    """Text to train the tokenizer on: the ASCII sources of the standard library, in a fixed order."""
    left = CORPUS_BYTES
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_bytes()
        if text.isascii():
            yield text.decode("ascii")
            left -= len(text)
        if left <= 0:
            return


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A BPE tokenizer with a ChatML template, as the real model has.

    Text made of any of its tokens encodes to the same number of tokens again, alone and inside the template: no token
    is a part of a character (ASCII alone), and none spans a newline. So a random prompt has the length it was made for.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    newline = pre_tokenizers.Split("\n", "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([newline, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END, UNKNOWN, *MARKERS],
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        additional_special_tokens=MARKERS,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> Lfm2MoeForCausalLM:
    """A few million random parameters; layers of both kinds, dense and expert ones."""
    torch.manual_seed(SEED)
    config = Lfm2MoeConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        moe_intermediate_size=128,
        num_hidden_layers=6,
        num_dense_layers=2,
        layer_types=["conv", "conv", "full_attention"] * 2,
        num_attention_heads=8,
        num_key_value_heads=4,
        num_experts=8,
        num_experts_per_tok=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Lfm2MoeForCausalLM(config).to(torch.bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the checkpoint is written")
    directory = parser.parse_args().directory
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    tokenizer.save_pretrained(directory)
    model.save_pretrained(directory)
    for path in directory.iterdir():
        path.chmod(0o644)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer):,} tokens")


if __name__ == "__main__":
    main()
