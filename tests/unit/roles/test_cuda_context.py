# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof's script on a library of our own: every way that it can end."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/nvidia_container_toolkit/files/cuda_context.py"
_spec = importlib.util.spec_from_file_location("cuda_context", SCRIPT)
cuda_context = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cuda_context)


class Driver:
    """Stands for libcuda: C functions that fill the caller's memory."""

    def __init__(self, init=0, contexts=()):
        self.contexts = list(contexts)
        self.destroyed = 0
        self.cuInit = lambda _flags: init

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.contexts)

    def cuDeviceGet(self, device, index):
        device._obj.value = index

    def cuDeviceGetName(self, name, _size, device):
        name.value = f"GPU {device.value}".encode()

    def cuCtxCreate_v2(self, context, _flags, device):
        context._obj.value = 1
        return self.contexts[device.value]

    def cuCtxDestroy_v2(self, _context):
        self.destroyed += 1


@pytest.mark.parametrize(
    ("driver", "status", "output"),
    [
        (Driver(contexts=[0]), 0, "0 GPU 0: ok\n"),
        (Driver(contexts=[0, 2]), 0, "0 GPU 0: ok\n1 GPU 1: error 2\n"),
        (Driver(contexts=[0, 46]), 43, "0 GPU 0: ok\n1 GPU 1: error 46\n"),
        (Driver(contexts=[]), 42, "no device\n"),
        (Driver(init=802), 41, "cuInit: error 802\n"),
    ],
)
def test_each_end(driver, status, output, capsys):
    assert cuda_context.main(load=lambda _name: driver) == status
    assert capsys.readouterr().out == output
    assert driver.destroyed == driver.contexts.count(0)


def test_no_library_in_a_real_process():
    if _has_libcuda():
        pytest.skip("this machine has a driver")
    done = subprocess.run([sys.executable, "-c", SCRIPT.read_text()], capture_output=True, text=True, check=False)
    assert done.returncode == 40
    assert "libcuda.so.1" in done.stdout


def _has_libcuda():
    try:
        return ctypes.CDLL("libcuda.so.1") is not None
    except OSError:
        return False
