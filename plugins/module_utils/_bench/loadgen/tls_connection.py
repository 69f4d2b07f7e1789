# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection of the event loop, over TLS.

The socket stays ours, and TLS works on two buffers in memory, so ciphertext is received with the kernel's time like
plain text is. A TLS record has the time of the segment that completed it.
"""

from __future__ import annotations

import ssl

from ..._openai.endpoint import Address
from .connection import HANDSHAKING, IDLE, Ancillary, Connection, no_socket, receive_buffer


class TlsConnection(Connection):
    """A connection whose bytes pass through TLS on their way."""

    def __init__(self, address: Address, context: ssl.SSLContext, hostname: str) -> None:
        super().__init__(address)
        self._context, self._hostname = context, hostname
        self._closed_by_server = False

    def _opened(self) -> bool:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_hostname=self._hostname)
        self._closed_by_server = False
        self.state = HANDSHAKING
        return self._shake_hands()

    def _shake_hands(self) -> bool:
        """Goes on with the handshake as far as it can. False when it failed."""
        try:
            self._tls.do_handshake()
            self.state = IDLE
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._end("tls_error", str(error))
            return False
        return self._flush()

    def _flush(self) -> bool:
        """Sends what TLS itself has to say: small messages, which fit into the socket's buffer."""
        sock = self.sock or no_socket()
        try:
            while self._outgoing.pending:
                sock.sendall(self._outgoing.read())
        except OSError as error:
            self._broken(error)
            return False
        return True

    def _encode(self, payload: memoryview) -> memoryview:
        self._tls.write(payload)
        return memoryview(self._outgoing.read())

    def _decrypt(self) -> int:
        """Puts plain text of what has come at the beginning of the receive buffer, as much as it takes; returns its size."""
        plain, room = 0, len(receive_buffer)
        try:
            while plain < room and not self._closed_by_server:
                read = int(self._tls.read(room - plain, receive_buffer[plain:]))
                self._closed_by_server = not read  # TLS says so before TCP does
                plain += read
        except ssl.SSLWantReadError:
            pass
        return plain

    def _received(self, size: int, ancillary: Ancillary) -> bool:
        self._incoming.write(receive_buffer[:size])
        try:
            plain = self._decrypt()
            while plain:
                if super()._received(plain, ancillary):
                    self._close_if_more_came()
                    return True
                plain = self._decrypt()
        except ssl.SSLError as error:
            return self._end("tls_error", str(error))
        if self._outgoing.pending and not self._flush():
            return True
        return self._closed_by_server and self._end_of_stream()

    def _close_if_more_came(self) -> None:
        """A connection on which something came that was not asked for, or that the server ends, is not used again."""
        try:
            more = self._decrypt()
        except ssl.SSLError:
            more = 1
        if more or self._closed_by_server:
            self.close()

    def _end_of_stream(self, in_order: bool = True) -> bool:
        return super()._end_of_stream(in_order and self._closed_by_server)

    def _unexpected(self, size: int) -> bool:
        if self.state == HANDSHAKING:
            return self._handshake_data(size)
        self._incoming.write(receive_buffer[:size])
        self._close_if_more_came()  # a session ticket decrypts to nothing
        if not size:
            self.close()
        return False

    def _handshake_data(self, size: int) -> bool:
        exchanging = self._exchanging
        if not size:
            return self._end("tls_error", "the server closed the connection during the handshake")
        self._incoming.write(receive_buffer[:size])
        if not self._shake_hands():
            return exchanging
        return exchanging and self.state == IDLE and self._send()
