# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.image_cuda import image_cuda
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("vllm/vllm-openai:v0.32.0", (13, "vllm/vllm-openai:v0.32.0-cu129")),
        ("vllm/vllm-openai:v0.32.0-cu129", (12, None)),
        ("vllm/vllm-openai:v0.19.0", (12, None)),
        ("vllm/vllm-openai:v0.19.0-cu130", (13, None)),
        ("vllm/vllm-openai:v0.33.0", (13, "vllm/vllm-openai:v0.32.0-cu129")),
        ("mirror.example.com/vllm/vllm-openai:v0.33.1", (13, "mirror.example.com/vllm/vllm-openai:v0.32.0-cu129")),
        ("vllm/vllm-openai:latest", (13, None)),
        ("vllm/vllm-openai:nightly-22a58640b4563f5945aa2052e9e61d425351588d", (13, None)),
        (
            "mirror.example.com:5000/vllm/vllm-openai:v0.32.0@sha256:00",
            (13, "mirror.example.com:5000/vllm/vllm-openai:v0.32.0-cu129"),
        ),
        ("lmsysorg/sglang:v0.5.23", (13, "lmsysorg/sglang:v0.5.23-cu129")),
        ("lmsysorg/sglang:v0.5.9", (12, None)),
        ("lmsysorg/sglang:nightly-dev-cu12-20260529-a8cfae0b", (12, None)),
        ("nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04", None),
        ("python:3.13-slim", None),
        ("", None),
    ],
)
def test_the_family_of_an_image(image, expected):
    assert image_cuda(image) == expected


@given(st.text(max_size=60))
def test_any_name_is_taken(image):
    image_cuda(image)
