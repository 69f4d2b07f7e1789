# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the event loop notes of one request while the clock runs: raw bytes and times. Nothing is parsed here."""

from __future__ import annotations

import zlib
from array import array

_BLOCK_BYTES = 32 * 1024  # a block is compressed when it has this length or nearly so
_STATUS_BYTES = len("HTTP/1.1 2")
# Without a checksum. With more memory most of the time would go into asking the kernel for it.
_WINDOW_BITS, _MEMORY_LEVEL = -15, 6
_TAIL_BYTES = 16  # stays uncompressed, so that the end of the answer is seen across two reads


def _packed(data: bytearray) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    return packer.compress(data) + packer.flush()


class Recording:
    """The raw bytes of one response, and for each read its time and size.

    Memory: full blocks are compressed at once (event streams shrink some fifteenfold), so a recording takes about
    2 % of its stream, 32 KiB of raw tail, and 12 bytes a read.
    """

    __slots__ = (
        "_blocks",
        "data",
        "detail",
        "ended_ns",
        "index",
        "intended_ns",
        "outcome",
        "packed_bytes",
        "sent_ns",
        "sizes",
        "times",
    )

    def __init__(self, index: int, intended_ns: int) -> None:
        self.index, self.intended_ns = index, intended_ns
        self.sent_ns = self.ended_ns = 0
        self.outcome = self.detail = ""  # an error class when the exchange did not end as HTTP says
        self.data = bytearray()
        self.times, self.sizes = array("q"), array("i")
        self._blocks: list[bytes] = []
        self.packed_bytes = 0  # of the response, which stand before `data`

    def shrink(self, needs: int) -> None:
        """Compresses what has been read, when it is worth it; not what comes at `needs` in the response, or later."""
        size = min(len(self.data) - _TAIL_BYTES, needs - self.packed_bytes)
        if size >= _BLOCK_BYTES // 2:
            self._blocks.append(_packed(self.data[:size]))
            del self.data[:size]
            self.packed_bytes += size

    def seal(self) -> None:
        """Compresses the rest: the response has ended."""
        self._blocks.append(_packed(self.data))
        self.packed_bytes += len(self.data)
        self.data = bytearray()

    @property
    def received_bytes(self) -> int:
        """What has come of the response, its head included."""
        return self.packed_bytes + len(self.data)

    @property
    def refused(self) -> bool:
        """Whether the answer, as far as it has come, begins with a status of HTTP that is no success."""
        packed = self._blocks[0] if self._blocks else b""
        begin = zlib.decompressobj(_WINDOW_BITS).decompress(packed, _STATUS_BYTES) if packed else bytes(self.data)
        return begin[_STATUS_BYTES - 1 : _STATUS_BYTES] > b"2"

    def drop(self) -> None:
        """Keeps the beginning alone, of a response that nothing but its length is said about."""
        del self._blocks[1:]
        self.data = bytearray()

    def raw(self) -> bytes:
        """All bytes of the response."""
        return b"".join([*(zlib.decompress(block, _WINDOW_BITS) for block in self._blocks), bytes(self.data)])
