# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open a CUDA context on every visible device, with nothing but Python and the driver's own library.

nvidia-smi answers even when CUDA does not start, so this proves that a container can serve a model.
Prints one line for each device. Exit status: 0 all opened, 40 no libcuda, 41 CUDA does not start, 42 no device, 43 a device fails.
"""

import ctypes
import sys

OUT_OF_MEMORY = 2  # another program fills the GPU, which works
LIBRARY = "libcuda.so.1"


def main(load=ctypes.CDLL):
    try:
        cuda = load(LIBRARY)
    except OSError as error:
        print(error)
        return 40
    status = cuda.cuInit(0)
    if status != 0:
        print(f"cuInit: error {status}")
        return 41
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    if count.value == 0:
        print("no device")
        return 42
    return max([open_device(cuda, index) for index in range(count.value)])


def open_device(cuda, index):
    device, context, name = ctypes.c_int(), ctypes.c_void_p(), ctypes.create_string_buffer(100)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    create = getattr(cuda, "cuCtxCreate_v2", None) or cuda.cuCtxCreate
    status = create(ctypes.byref(context), 0, device)
    if status == 0:
        cuda.cuCtxDestroy_v2(context)
    print("{} {}: {}".format(index, name.value.decode(), "ok" if status == 0 else f"error {status}"))
    return 0 if status in (0, OUT_OF_MEMORY) else 43


if __name__ == "__main__":
    sys.exit(main())
