# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulated LLM inference server: OpenAI-compatible, one file, Python 3.8+ standard library, no GPU, no root.

It models a server rather than sleeping: a scheduler in virtual time decides when every token is due (prefill is shared
by the waiting requests, a decode step slows down with batch and context), and a socket shell sends each token at that
absolute time on the monotonic clock, so that lateness of one step never moves the next. Until the start-up delay is
over, the port is taken but not listening, as vLLM does: a client sees its connection refused.

Sections: tokenizer, scheduler, HTTP, replies, faults, endpoints, main.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import hashlib
import hmac
import inspect
import itertools
import json
import os
import random
import re
import resource
import signal
import socket
import ssl
import struct
import sys
import time
import traceback
import zlib
from abc import ABC, abstractmethod
from array import array
from collections import OrderedDict, deque
from dataclasses import dataclass, field, fields
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Callable, Iterable, NamedTuple, Sequence

VERSION = "1.0.0"

# ---------------------------------------------------------------------------------------------------- tokenizer
# The rule. A token is one syllable, `[space] onset nucleus coda`, from the tables below (every combination has an id,
# so the vocabulary needs no file), a capitalised syllable start after a space, two or three digits, a run of newlines
# or spaces, a special token, or one byte of UTF-8. Text is cut greedily from the left. Joining the pieces gives the
# text back, byte for byte. English takes about 3 characters a token. As with a real BPE vocabulary, decoding random ids
# and encoding the text again gives a few per cent more tokens, since pieces meet differently.

ONSETS = """- b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p ph pl pr qu r s sc sh sl sm sp st str t th tr v w wh
    y z"""  # "-": none
NUCLEI = "a e i o u y ai ea ee ie io oo ou"
CODAS = """- b c d f g k l m n p r s t v x ch ck ct ff ft ll ld ls lt mp nc nd ng ns nt pp pt rd rm rn rs rt ss st th tt
    ble ght"""
SILENT_E = "ce de me ne re se te ve"  # codas at the end of a word only
SPECIALS = ("<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")
PAD, BOS, EOS, IM_START, IM_END = range(5)
MEMO_TEXTS, MEMO_MIN_CHARS = 1024, 1024


def trie_pattern(words: Iterable[str]) -> str:
    """A regular expression that matches the longest of the words, and nothing where "" is one of them."""
    tails: dict[str, list[str]] = {}
    words = list(words)
    for word in filter(None, words):
        tails.setdefault(word[0], []).append(word[1:])
    branches = [re.escape(head) + trie_pattern(rest) for head, rest in tails.items() if any(rest)]
    leaves = "".join(head for head, rest in tails.items() if not any(rest))
    if leaves:
        branches.append("[" + leaves + "]")
    if "" in words:
        branches.append("")
    return "(?:" + "|".join(branches) + ")"


class Tokenizer:
    """Deterministic and reversible: decode(encode(text)) == text for every text."""

    def __init__(self) -> None:
        onsets, nuclei, codas = ([part.strip("-") for part in table.split()] for table in (ONSETS, NUCLEI, CODAS))
        starts = [onset + nucleus for onset in onsets for nucleus in nuclei]
        endings = codas + SILENT_E.split()
        runs = ["\n" * n for n in range(2, 5)] + [" " * n for n in range(2, 17)]
        numbers = [f"{n:0{width}d}" for width in (2, 3) for n in range(10**width)]
        capitals = [" " + start.capitalize() for start in starts]
        syllables = [space + start + end for start in starts for end in endings for space in ("", " ")]
        single = {chr(n) for n in range(128)}  # one character: the byte tokens hold it
        words = [piece for piece in runs + numbers + capitals + syllables if piece not in single]
        self.pieces: list[bytes] = [s.encode() for s in SPECIALS] + [bytes([n]) for n in range(256)]
        self.byte_base = len(SPECIALS)
        self.ids: dict[str, int] = {special: i for i, special in enumerate(SPECIALS)}
        self.ids.update((chr(n), self.byte_base + n) for n in range(128))
        self.ids.update((word, len(self.pieces) + i) for i, word in enumerate(words))
        self.pieces += [word.encode() for word in words]
        self.size = len(self.pieces)
        syllable = trie_pattern(onsets) + trie_pattern(nuclei)
        ending = "(?:" + trie_pattern(SILENT_E.split()) + "(?![a-z])|" + trie_pattern(codas) + ")"
        self._find = re.compile(
            " ?" + syllable + ending + "| " + trie_pattern(start.capitalize() for start in starts)
            + r"|[0-9]{1,3}|\n{1,4}| {1,16}(?= )|" + "|".join(re.escape(s) for s in SPECIALS) + r"|[^\x00-\x7f]+|.",
            re.DOTALL,
        ).findall  # fmt: skip
        self._memo: OrderedDict[bytes, array[int]] = OrderedDict()

    def encode(self, text: str) -> array[int]:
        """Token ids of a text, without special tokens added; long texts are remembered."""
        if len(text) < MEMO_MIN_CHARS:
            return self._encode(text)
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        ids = self._memo.get(key)
        if ids is None:
            ids = self._memo[key] = self._encode(text)
            if len(self._memo) > MEMO_TEXTS:
                self._memo.popitem(last=False)
        return ids

    def _encode(self, text: str) -> array[int]:
        pieces = self._find(text)
        try:
            return array("H", map(self.ids.__getitem__, pieces))
        except KeyError:  # some piece has to be spelled in bytes
            spelled = map(self._spell, pieces)
            return array("H", itertools.chain.from_iterable(spelled))

    def _spell(self, piece: str) -> list[int]:
        token = self.ids.get(piece)
        if token is not None:
            return [token]
        return [self.byte_base + byte for byte in piece.encode("utf-8", "surrogatepass")]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; bytes that are not UTF-8 become U+FFFD. Raises IndexError for an unknown id."""
        if ids and min(ids) < 0:
            raise IndexError("negative token id")
        data = b"".join(map(self.pieces.__getitem__, ids))
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def chat(self, messages: Sequence[tuple[str, str]], generation_prompt: bool = True) -> array[int]:
        """Token ids of (role, content) pairs in a ChatML-like template; one message costs about 12 tokens more."""
        ids = array("H", [BOS])
        for role, content in messages:
            ids.append(IM_START)
            ids += self.encode(role + "\n") + self.encode(content)
            ids.append(IM_END)
            ids += self.encode("\n")
        if generation_prompt:
            ids.append(IM_START)
            ids += self.encode("assistant\n")
        return ids


# Every word of the answers is one token, also when the whole answer is encoded again.
WORD_LIST = """time light stone house bread night green small round clear still bright last long short deep wide soft
    hand side wind rain sand salt land sea star sun tree leaf seed corn gold wood line word name song bell cool wall
    path ship port good food soon pool note care done race more here late live we you the of and"""
WORDS = [b" " + word.encode() for word in WORD_LIST.split()]

# ---------------------------------------------------------------------------------------------------- scheduler
# Pure: no sockets, no clock. Times are seconds of model time, given by the caller.


class Timing(NamedTuple):
    """How long the modelled engine takes; the defaults are a plain, quick server and no particular GPU."""

    frontend_ms: float = 1.0  # from the request's arrival to the engine's queue: HTTP, templating, tokenisation
    decode_base_ms: float = 2.0  # one decode step, whatever the batch
    decode_expert_ms: float = 2.0  # reading all experts of a mixture; a batch of n reads 1 - (1 - expert_share)^n of it
    expert_share: float = 0.125  # share of the experts that one token uses
    decode_us_per_sequence: float = 10.0
    decode_ns_per_context_token: float = 3.0  # reading the KV cache
    prefill_base_ms: float = 1.0  # a step that holds prompt tokens, beside what they cost
    prefill_us_per_token: float = 5.0
    step_tokens: int = 8192  # vllm: tokens a step may hold, decodes included; sglang: tokens of one prefill batch
    cold_tokens: int = 0  # the first prompt tokens after a second of idleness (a burst meets untuned kernels) ...
    cold_factor: float = 1.0  # ... take this many times as long
    jitter: float = 0.0  # standard deviation of a decode step, as a share of it
    merge_every: int = 0  # every n-th token of a stream leaves with the next one (a front end that lags); 0: never

    def decode_s(self, sequences: int, context_tokens: int) -> float:
        """Seconds of one decode step over so many sequences whose contexts sum up to so many tokens."""
        experts = 1.0 - (1.0 - self.expert_share) ** sequences
        return (
            (self.decode_base_ms + self.decode_expert_ms * experts) * 1e-3
            + self.decode_us_per_sequence * sequences * 1e-6
            + self.decode_ns_per_context_token * context_tokens * 1e-9
        )


COLD_AFTER_S = 1.0


class PrefixCache:
    """Which blocks of prompt tokens are in memory: least recently used go first. Generated tokens are not kept."""

    def __init__(self, max_tokens: int, block_tokens: int = 16) -> None:
        self.block_tokens = block_tokens
        self.max_blocks = max_tokens // block_tokens
        self.queries = self.hits = 0  # tokens
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def hashes(self, ids: array[int]) -> list[int]:
        """One hash per full block, each over the whole prompt up to the block's end."""
        data, width = ids.tobytes(), self.block_tokens * ids.itemsize
        chain, result = 0, []
        for start in range(0, len(data) - width + 1, width):
            chain = hash((chain, data[start : start + width]))
            result.append(chain)
        return result

    def lookup(self, hashes: Sequence[int], prompt_tokens: int) -> int:
        """Tokens of the prompt that need no prefill; the last token always does."""
        cached = 0
        for chain in hashes[: (prompt_tokens - 1) // self.block_tokens]:
            if chain not in self._blocks:
                break
            self._blocks.move_to_end(chain)
            cached += self.block_tokens
        self.queries += prompt_tokens
        self.hits += cached
        return cached

    def insert(self, hashes: Sequence[int]) -> None:
        for chain in hashes:
            self._blocks[chain] = None
            self._blocks.move_to_end(chain)
        while len(self._blocks) > self.max_blocks:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        self._blocks.clear()


class Job:
    """One request inside the engine. `reply` receives its tokens; the scheduler never calls it."""

    def __init__(self, prompt_tokens: int, target: int, blocks: Sequence[int] = (), reply: Any = None) -> None:
        self.prompt_tokens = prompt_tokens
        self.target = target  # tokens to generate
        self.blocks = blocks
        self.reply = reply
        self.ready = 0.0  # when it reaches the queue
        self.computed = self.cached_tokens = 0  # prompt tokens done; of those, from the cache
        self.first_step = 0
        self.state = "waiting"  # -> prefilling -> decoding -> done


class Step(NamedTuple):
    """What one step produced, all at its end."""

    first: list[Job]  # whose prompt is complete: this is their first token
    decoded: list[Job]  # who have one more token and go on (those of `first` included)
    finished: list[Job]  # who have their last token


class Scheduler:
    """Continuous batching in virtual time: begin(now) plans a step and says when it ends; finish() gives its tokens.

    Engine `vllm` mixes a chunk of prefill into every decode step, within a budget of tokens per step. Engine `sglang`
    prefills first, in batches of that budget, while everybody else's decode stalls. Both are first come, first served.
    The cost of a step does not depend on a per-request loop here: who finishes is known when decoding starts.
    """

    def __init__(
        self,
        timing: Timing,
        engine: str = "vllm",
        max_num_seqs: int = 256,
        cache: PrefixCache | None = None,
        seed: int = 0,
    ) -> None:
        self.timing, self.engine, self.max_num_seqs, self.cache = timing, engine, max_num_seqs, cache
        self.waiting: deque[Job] = deque()
        self.prefilling: list[Job] = []
        self.decoding: dict[Job, None] = {}
        self.context_tokens = 0  # of all decoding jobs
        self.prompt_tokens_total = self.generation_tokens_total = 0
        self._random = random.Random(seed)
        self._steps = 0  # decode steps so far
        self._due: dict[int, list[Job]] = {}  # by the decode step that gives a job its last token
        self._chunks: list[tuple[Job, int]] = []
        self._decodes = False
        self._end = float("-inf")
        self._cold_left = 0

    @property
    def running(self) -> int:
        return len(self.prefilling) + len(self.decoding)

    def submit(self, job: Job, now: float) -> None:
        job.ready = now + self.timing.frontend_ms * 1e-3
        self.waiting.append(job)

    def next_ready(self) -> float | None:
        """When the first waiting job reaches the queue."""
        return self.waiting[0].ready if self.waiting else None

    def abort(self, job: Job) -> None:
        """Forget a job, wherever it is; its slot is free from the next step on."""
        if job.state == "waiting":
            self.waiting.remove(job)
        elif job.state == "prefilling":
            self.prefilling.remove(job)
        elif job.state == "decoding":
            del self.decoding[job]
            self.context_tokens -= job.prompt_tokens + 1 + self._steps - job.first_step
        job.state = "done"

    def begin(self, now: float) -> float | None:
        """Plan the step that starts now; its end, or None when there is nothing to do yet."""
        now = max(now, self._end)  # a job that became ready within the last step
        if now - self._end >= COLD_AFTER_S:
            self._cold_left = self.timing.cold_tokens
        decodes = len(self.decoding)
        self._chunks = self._plan_prefill(self.timing.step_tokens - (decodes if self.engine == "vllm" else 0), now)
        if self._chunks and self.engine == "sglang":
            decodes = 0
        if not decodes and not self._chunks:
            return None
        self._decodes = bool(decodes)
        self._end = now + self._decode_s(decodes) + self._prefill_s(sum(tokens for job, tokens in self._chunks))
        return self._end

    def _plan_prefill(self, budget: int, now: float) -> list[tuple[Job, int]]:
        chunks: list[tuple[Job, int]] = []
        for job in self.prefilling:
            if budget <= 0:
                return chunks
            chunks.append((job, min(budget, job.prompt_tokens - job.computed)))
            budget -= chunks[-1][1]
        while budget > 0 and self.waiting and self.waiting[0].ready <= now and self.running < self.max_num_seqs:
            job = self.waiting.popleft()
            if self.cache is not None:
                job.cached_tokens = job.computed = self.cache.lookup(job.blocks, job.prompt_tokens)
            job.state = "prefilling"
            self.prefilling.append(job)
            chunks.append((job, min(budget, job.prompt_tokens - job.computed)))
            budget -= chunks[-1][1]
        return chunks

    def _decode_s(self, sequences: int) -> float:
        if not sequences:
            return 0.0
        seconds = self.timing.decode_s(sequences, self.context_tokens)
        if self.timing.jitter:
            seconds *= max(0.5, self._random.gauss(1.0, self.timing.jitter))
        return seconds

    def _prefill_s(self, tokens: int) -> float:
        if not tokens:
            return 0.0
        cold = min(tokens, self._cold_left)
        self._cold_left -= cold
        weighted = tokens + cold * (self.timing.cold_factor - 1.0)
        return self.timing.prefill_base_ms * 1e-3 + self.timing.prefill_us_per_token * weighted * 1e-6

    def finish(self) -> Step:
        """The tokens of the step that begin() planned."""
        step = Step([], [], [])
        if self._decodes:
            self._steps += 1
            self.context_tokens += len(self.decoding)
            self.generation_tokens_total += len(self.decoding)
            for job in self._due.pop(self._steps, ()):
                if job.state == "decoding":
                    self.abort(job)
                    step.finished.append(job)
            step.decoded.extend(self.decoding)
        for job, tokens in self._chunks:
            if job.state == "prefilling":
                job.computed += tokens
                if job.computed == job.prompt_tokens:
                    self._start_decoding(job, step)
        self._chunks = []
        return step

    def _start_decoding(self, job: Job, step: Step) -> None:
        self.prefilling.remove(job)
        self.prompt_tokens_total += job.prompt_tokens
        self.generation_tokens_total += 1
        if self.cache is not None:
            self.cache.insert(job.blocks)
        step.first.append(job)
        if job.target == 1:
            job.state = "done"
            step.finished.append(job)
            return
        job.state = "decoding"
        job.first_step = self._steps
        self.decoding[job] = None
        self.context_tokens += job.prompt_tokens + 1
        self._due.setdefault(self._steps + job.target - 1, []).append(job)
        step.decoded.append(job)


class Alarm:
    """Calls back at an absolute time of time.monotonic(); one time at once, a new one replaces it.

    On Linux a timerfd, since the event loop's own time-outs are rounded up to a millisecond there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop, self._callback = loop, callback
        self._handle: asyncio.TimerHandle | None = None
        self._libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC) if self._libc else -1
        if self._fd >= 0:
            loop.add_reader(self._fd, self._expired)

    def set(self, at: float) -> None:
        if self._fd >= 0:
            seconds = int(at)
            spec = (ctypes.c_long * 4)(0, 0, seconds, max(1, int((at - seconds) * 1e9)))
            self._libc.timerfd_settime(self._fd, 1, spec, None)  # 1: TFD_TIMER_ABSTIME
        else:
            if self._handle:
                self._handle.cancel()
            self._handle = self._loop.call_at(at, self._callback)

    def _expired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set again since the event loop saw it
            return
        self._callback()


class Engine:
    """Runs a Scheduler against the monotonic clock and hands each job's reply its tokens."""

    def __init__(self, scheduler: Scheduler, time_scale: float, loop: asyncio.AbstractEventLoop) -> None:
        self.scheduler, self.time_scale = scheduler, time_scale
        self.due = 0.0  # time.monotonic() at which the tokens now being delivered should leave
        self._next = 0.0  # model time of the next wake-up
        self._stepping = False
        self._alarm = Alarm(loop, self._wake)

    def submit(self, job: Job, arrived: float) -> None:
        """Take a job whose request was complete at this time of time.monotonic()."""
        self.scheduler.submit(job, arrived * self.time_scale)
        if not self._stepping:
            self._sleep(self.scheduler.waiting[0].ready)

    def _sleep(self, until: float) -> None:
        self._next = until
        self._alarm.set(until / self.time_scale)

    def _plan(self, at: float) -> None:
        end = self.scheduler.begin(at)
        self._stepping = end is not None
        wake = end if end is not None else self.scheduler.next_ready()
        if wake is not None:
            self._sleep(wake)

    def _wake(self) -> None:
        at = self._next
        if not self._stepping:
            self._plan(at)
            return
        step = self.scheduler.finish()
        self.due = at / self.time_scale
        self._plan(at)  # from the schedule, not from now: lateness does not add up
        for job in step.decoded:
            job.reply.token()
        for job in step.finished:
            job.reply.finish()


# ---------------------------------------------------------------------------------------------------- HTTP

MAX_HEAD_BYTES, MAX_BODY_BYTES = 64 * 1024, 64 * 1024 * 1024
SERVER_HEADER = "server: llmfleet-simulator/" + VERSION
ERROR_TYPES = {400: "BadRequestError", 401: "Unauthorized", 404: "NotFoundError", 429: "RateLimitError"}
Handler = Callable[["Connection", "Request"], None]


class HTTPError(Exception):
    """An answer that is an error, in OpenAI's form."""

    def __init__(self, status: int, message: str, param: str | None = None, headers: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status, self.param, self.headers = status, param, headers

    def body(self) -> dict[str, Any]:
        kind = ERROR_TYPES.get(self.status, "InternalServerError" if self.status >= 500 else "BadRequestError")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.status}}


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    keep_alive: bool
    chunked: bool  # whether the client understands a chunked answer (HTTP/1.1)
    arrived: float = 0.0  # time.monotonic() when it was complete
    fault: Fault | None = None  # what shall go wrong

    def json(self) -> dict[str, Any]:
        try:
            body = json.loads(self.body)
        except ValueError as error:
            raise HTTPError(400, f"invalid JSON: {error}") from None
        if not isinstance(body, dict):
            raise HTTPError(400, "the body must be a JSON object")
        return body


def parse_head(head: bytes) -> Request:
    """A request without its body, from the bytes before the blank line. Raises HTTPError."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[1].startswith("/") or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise HTTPError(400, "malformed request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HTTPError(400, "malformed header")
        headers[name.lower()] = value.strip()
    modern = words[2] == "HTTP/1.1"
    keep_alive = modern and "close" not in headers.get("connection", "").lower()
    return Request(words[0], words[1].partition("?")[0], headers, b"", keep_alive, modern)


def body_length(request: Request) -> int:
    """Bytes that follow the head. Raises HTTPError."""
    if "transfer-encoding" in request.headers:
        raise HTTPError(411, "send the body with Content-Length")
    length = request.headers.get("content-length", "0")
    if not length.isdigit():
        raise HTTPError(400, "malformed Content-Length")
    if int(length) > MAX_BODY_BYTES:
        raise HTTPError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    return int(length)


def response_head(status: int, headers: Iterable[str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Status"
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", SERVER_HEADER, *headers, "\r\n"]).encode("latin-1")


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: requests one after another, kept alive."""

    transport: Any  # asyncio.Transport; set when the connection is made

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.reply: Reply | None = None  # the generation in progress
        self.request: Request | None = None  # the request in progress, or the one whose body is being read
        self.closed = False
        self._buffer = bytearray()
        self._missing = 0  # length of the body that is being read
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.simulator.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.simulator.connections.discard(self)
        if self.reply is not None:
            self.reply.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        """Serve what the buffer holds, until a request is incomplete or still being answered."""
        while not self._busy and not self.closed:
            try:
                request = self._take()
            except HTTPError as error:
                self.request = None
                self.fail(error)
                self.done()
                return
            if request is None:
                return
            self._busy = True
            self.request = request._replace(arrived=time.monotonic())
            self.simulator.enqueue(self, self.request)

    def _take(self) -> Request | None:
        """The next complete request of the buffer."""
        if self.request is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise HTTPError(431, f"the head is larger than {MAX_HEAD_BYTES} bytes")
                return None
            self.request = parse_head(bytes(self._buffer[:end]))
            self._missing = body_length(self.request)
            del self._buffer[: end + 4]
            if len(self._buffer) < self._missing and self.request.headers.get("expect", "").lower() == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._buffer) < self._missing:
            return None
        request = self.request._replace(body=bytes(self._buffer[: self._missing]))
        del self._buffer[: self._missing]
        return request

    def done(self) -> None:
        """The answer is complete: close, or go on with the next request."""
        closing = bool(self.persistence())
        self.request = self.reply = None
        self._busy = False
        if closing:
            self.closed = True
            self.transport.close()
        elif self._buffer:
            asyncio.get_running_loop().call_soon(self._advance)

    def persistence(self) -> list[str]:
        """The header that says that the connection will be closed, if it will."""
        return [] if self.request is not None and self.request.keep_alive else ["connection: close"]

    def send(self, status: int, body: bytes, kind: str = "application/json", headers: Iterable[str] = ()) -> None:
        """A whole answer with its length; the caller ends it with done()."""
        length = f"content-length: {len(body)}"
        head = response_head(status, ["content-type: " + kind, length, *self.persistence(), *headers])
        self.transport.write(head if self.request is not None and self.request.method == "HEAD" else head + body)

    def fail(self, error: HTTPError) -> None:
        self.send(error.status, json.dumps(error.body()).encode(), headers=error.headers)

    def answer(self, body: Any) -> None:
        self.send(200, json.dumps(body).encode())
        self.done()

    def reset(self) -> None:
        """Drop the connection with a TCP RST."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.closed = True
        self.transport.abort()


# ---------------------------------------------------------------------------------------------------- replies


class Generation(NamedTuple):
    """What a client asked to be generated."""

    model: str  # the name that was asked for
    chat: bool
    prompt: array[int]
    target: int  # tokens that will come
    finish_reason: str
    stream: bool
    include_usage: bool
    continuous_usage: bool
    stream_interval: int


class SendLog:
    """One JSON line per answer with the time of each of its events, for judging clients against.

    Columns, one entry per event: `kind` (one letter: r role, t tokens, f tokens and finish reason, u usage, d [DONE],
    b whole body), `tokens` (completion tokens so far), `due_ns` (when the schedule wanted it), `before_ns` and
    `after_ns` (around the call that sent it); all on CLOCK_REALTIME in nanoseconds.
    """

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - open as long as the process
        self._replies: deque[Reply] = deque()

    def add(self, reply: Reply) -> None:
        """Write a reply's line as soon as nothing else is to be done: the next event must not wait for it."""
        self._replies.append(reply)
        asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        if not self._replies:  # close() was quicker
            return
        reply = self._replies.popleft()
        rows = reply.rows
        line = {
            "id": reply.id,
            "number": reply.number,
            "received_ns": reply.received_ns,
            "prompt_tokens": len(reply.generation.prompt),
            "cached_tokens": reply.job.cached_tokens,
            "kind": bytes(rows[0::5].tolist()).decode(),
            **{name: rows[i::5].tolist() for i, name in enumerate(("tokens", "due_ns", "before_ns", "after_ns"), 1)},
        }
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        while self._replies:
            self._write()
        self._file.close()


class Reply(ABC):
    """A generation on its way to a client. The engine calls token() for every token but the last, then finish()."""

    def __init__(self, connection: Connection, request: Request, generation: Generation) -> None:
        simulator = connection.simulator
        self.connection, self.generation, self.simulator = connection, generation, simulator
        self.number = next(simulator.numbers)
        wanted = request.headers.get("x-request-id")
        self.id = ("chatcmpl-" if generation.chat else "cmpl-") + (wanted or f"{random.getrandbits(128):032x}")
        self.created = int(time.time())
        self.received_ns = time.time_ns()
        self.count = 0  # tokens so far
        self.rows = array("q")
        self._offset = zlib.crc32(generation.prompt.tobytes())
        blocks = simulator.cache.hashes(generation.prompt) if simulator.cache is not None else []
        self.job = Job(len(generation.prompt), generation.target, blocks, self)

    def token(self) -> None:
        self.count += 1

    @abstractmethod
    def finish(self) -> None:
        """Ends the answer after its last token."""

    def abort(self) -> None:
        """The client has closed the connection."""
        self.simulator.engine.scheduler.abort(self.job)
        self.simulator.finished("abort", self)

    def text(self, start: int, stop: int) -> bytes:
        """The words of tokens start + 1 .. stop."""
        offset = self._offset
        return b"".join([WORDS[(n + offset) % len(WORDS)] for n in range(start, stop)])

    def usage(self, completion_tokens: Any) -> dict[str, Any]:
        prompt = len(self.generation.prompt)
        total = TOTAL_MARK if completion_tokens == COUNT_MARK else prompt + completion_tokens
        return {"prompt_tokens": prompt, "total_tokens": total, "completion_tokens": completion_tokens}

    def record(self, kinds: bytes, before_ns: int) -> None:
        after_ns = time.time_ns()
        due_ns = after_ns - int((time.monotonic() - self.simulator.engine.due) * 1e9)
        for kind in kinds:
            self.rows.extend((kind, self.count, due_ns, before_ns, after_ns))


class WholeReply(Reply):
    """Everything in one body."""

    def finish(self) -> None:
        generation = self.generation
        self.count += 1
        thought = min(self.simulator.settings.reasoning_tokens, self.count) if generation.chat else 0
        text = self.text(thought, self.count).decode()
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": generation.finish_reason}
        if generation.chat:
            reasoning = self.text(0, thought).decode() or None
            choice["message"] = {"role": "assistant", "content": text, "reasoning": reasoning, "tool_calls": []}
        else:
            choice["text"] = text
        body = {
            "id": self.id,
            "object": "chat.completion" if generation.chat else "text_completion",
            "created": self.created,
            "model": generation.model,
            "choices": [choice],
            "usage": self.usage(self.count),
        }
        before = time.time_ns()
        self.connection.send(200, json.dumps(body).encode())
        if self.simulator.settings.send_log:
            self.record(b"b", before)
        self.simulator.finished(generation.finish_reason, self)
        self.connection.done()


TEXT_MARK, COUNT_MARK, TOTAL_MARK = "@text@", "@count@", "@total@"
DONE_EVENT = b"data: [DONE]\n\n"
STREAM_HEADERS = ["content-type: text/event-stream; charset=utf-8", "cache-control: no-cache"]
NEVER = 1 << 60


def event_template(chunk: dict[str, Any]) -> bytes:
    """An SSE event as a bytes format: %b for the text, then, where usage is marked, %d for the total and the count."""
    data = "data: " + json.dumps(chunk, separators=(",", ":")).replace("%", "%%") + "\n\n"
    for mark, place in ((TEXT_MARK, "%b"), ('"' + TOTAL_MARK + '"', "%d"), ('"' + COUNT_MARK + '"', "%d")):
        data = data.replace(mark, place)
    return data.encode()


def frame(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class StreamReply(Reply):
    """Server-sent events, one write per token; everything that can be is prepared before the first one."""

    def __init__(self, connection: Connection, request: Request, generation: Generation) -> None:
        super().__init__(connection, request, generation)
        settings = self.simulator.settings
        self.write: Callable[[bytes], Any] = connection.transport.write
        self.chunked = request.chunked
        self._fault = request.fault.apply if request.fault and request.fault.stage == "stream" else None
        self.events = 0  # sent so far
        self.over: Callable[[], None] | None = None  # how a fault ends the stream, after its bytes
        self._held: list[bytes] = []
        self._holding = self._complete = False
        self._sent = 0  # tokens so far
        self._interval = max(generation.stream_interval, 1)
        self._merge = settings.timing.merge_every or NEVER
        self._reasoning = settings.reasoning_tokens if generation.chat else 0
        self._content = self._template(self._delta(TEXT_MARK), COUNT_MARK)
        self._thought = self._template({"reasoning": TEXT_MARK}, COUNT_MARK) if self._reasoning else b""
        self._role_pending = generation.chat
        self._prompt_tokens = len(generation.prompt)
        self._fast = self._fault is None and self.chunked
        self._log = bool(settings.send_log)
        framing = ["transfer-encoding: chunked"] if self.chunked else []
        self.write(response_head(200, [*STREAM_HEADERS, *framing, *connection.persistence()]))

    def _delta(self, text: str) -> dict[str, Any]:
        return {"content": text} if self.generation.chat else {"text": text}

    def _template(self, delta: dict[str, Any], count: Any, finish_reason: str | None = None) -> bytes:
        """A chunk with one choice."""
        choice: dict[str, Any] = {"index": 0}
        choice.update({"delta": delta} if self.generation.chat else delta)
        choice.update(logprobs=None, finish_reason=finish_reason)
        if finish_reason:
            choice["stop_reason"] = None
        usage = {"usage": self.usage(count)} if self.generation.continuous_usage else {}
        return event_template({**self._envelope([choice]), **usage})

    def _envelope(self, choices: list[Any]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk" if self.generation.chat else "text_completion",
            "created": self.created,
            "model": self.generation.model,
            "choices": choices,
        }

    def token(self) -> None:
        self.count = count = self.count + 1
        if (count - 1) % self._interval or not count % self._merge:
            return  # leaves with a later token
        first, self._sent = self._sent, count
        text = WORDS[(first + self._offset) % len(WORDS)] if count - first == 1 else self.text(first, count)
        template = self._content if count > self._reasoning else self._thought
        if self.generation.continuous_usage:
            event = template % (text, self._prompt_tokens + count, count)
        else:
            event = template % text
        if self._role_pending or not self._fast:
            self._emit(*self._with_role([(b"t", event)]))
        elif self._log:
            before = time.time_ns()
            self.write(b"%x\r\n%b\r\n" % (len(event), event))
            self.record(b"t", before)
        else:
            self.write(b"%x\r\n%b\r\n" % (len(event), event))

    def finish(self) -> None:
        generation = self.generation
        self.count += 1
        thinking = self.count <= self._reasoning
        delta = {"reasoning": TEXT_MARK} if thinking else self._delta(TEXT_MARK)
        text = self.text(self._sent, self.count)
        template = self._template(delta, self.count, generation.finish_reason)
        events = self._with_role([(b"f", template % text)])
        if generation.include_usage:
            events.append((b"u", event_template({**self._envelope([]), "usage": self.usage(self.count)}) % ()))
        self._emit(*events, (b"d", DONE_EVENT), last=True)
        if self.over is None:
            self.simulator.finished(generation.finish_reason, self)
            self._complete = True
            if not self._holding:
                self.connection.done()

    def _with_role(self, events: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        if not self._role_pending:
            return events
        self._role_pending = False
        return [(b"r", self._template({"role": "assistant", "content": ""}, 0) % ()), *events]

    def _emit(self, *events: tuple[bytes, bytes], last: bool = False) -> None:
        """Send events, each a kind and its bytes: in one write, unless a fault changes them."""
        before, sent = time.time_ns(), len(events)
        end = b"0\r\n\r\n" if last and self.chunked else b""
        if self._fault is None:
            self.write(b"".join([self.frame(event) for kind, event in events]) + end)
        else:
            sent = self._emit_through_fault([event for kind, event in events], end)
        if self._log:
            self.record(b"".join(kind for kind, event in events[:sent]), before)
        if self.over is not None:
            self.simulator.engine.scheduler.abort(self.job)
            self.simulator.finished("error", self)
            self.over()

    def _emit_through_fault(self, events: list[bytes], end: bytes) -> int:
        """How many of the events were sent completely."""
        for sent, event in enumerate(events):
            data = self._fault(self, event, self.events)  # type: ignore[misc]
            self.write(data)  # looked up after the fault, which may have begun to hold
            self.events += 1
            if self.over is not None:
                return sent
        self.write(end)
        return len(events)

    def frame(self, data: bytes) -> bytes:
        return frame(data) if self.chunked else data

    def hold(self, seconds: float) -> None:
        """Keep what is written from now on for so long."""
        if not self._holding:
            self._holding = True
            self.write = self._held.append
            asyncio.get_running_loop().call_later(seconds, self._release)

    def _release(self) -> None:
        self._holding = False
        self.write = self.connection.transport.write
        if not self.connection.closed:
            self.write(b"".join(self._held))
            self._held.clear()
            if self._complete:
                self.connection.done()


# ---------------------------------------------------------------------------------------------------- faults
# By request header `X-Fault: kind[,number...]`, or by the option `faults`: a list of {"kind": "kind[,number...]"} with
# the selectors `every` (each n-th request), `first` (the first n), `path` (default: the two completion endpoints).
# A fault of stage `request` takes the request over; `generation` changes what is generated; `stream` sees each event
# (the event, its number from 0) and returns the bytes to send, which without a fault are reply.frame(event).


class Fault(NamedTuple):
    stage: str
    apply: Callable[..., Any]


FAULTS: dict[str, Fault] = {}
STAGE_ARGUMENTS = {"request": 2, "generation": 1, "stream": 3}  # before a fault's own numbers


def fault(stage: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a function into the table of faults under its own name."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        FAULTS[function.__name__] = Fault(stage, function)
        return function

    return register


@fault("request")
def refuse(connection: Connection, request: Request, seconds: float = 2) -> None:
    """reset this connection and stop listening for so many seconds"""
    connection.simulator.pause_listening(seconds)
    connection.reset()


@fault("request")
def reset(connection: Connection, request: Request) -> None:
    """TCP reset instead of an answer"""
    connection.reset()


@fault("request")
def stall(connection: Connection, request: Request, seconds: float = 60) -> None:
    """nothing at all for so many seconds, then the normal answer"""
    over = request._replace(fault=Fault("over", stall), arrived=request.arrived + seconds)
    asyncio.get_running_loop().call_later(seconds, connection.simulator.enqueue, connection, over)


@fault("request")
def status(connection: Connection, request: Request, code: int = 500) -> None:
    """an error with this status"""
    raise HTTPError(int(code), f"fault on demand: status {code:.0f}")


@fault("request")
def rate_limit(connection: Connection, request: Request, seconds: int = 1) -> None:
    """429 with Retry-After"""
    raise HTTPError(429, "fault on demand: too many requests", headers=[f"retry-after: {seconds:.0f}"])


@fault("generation")
def short_output(generation: Generation, tokens: int = 5) -> Generation:
    """ends after so many tokens with finish_reason stop, whatever was asked"""
    return generation._replace(target=min(int(tokens), generation.target), finish_reason="stop")


@fault("generation")
def several_tokens(generation: Generation, tokens: int = 4) -> Generation:
    """so many tokens in each event"""
    return generation._replace(stream_interval=int(tokens))


@fault("stream")
def reset_stream(reply: StreamReply, event: bytes, number: int, after: int = 3) -> bytes:
    """TCP reset after so many events"""
    if number < after:
        return reply.frame(event)
    reply.over = reply.connection.reset
    return b""


@fault("stream")
def stall_stream(reply: StreamReply, event: bytes, number: int, seconds: float = 60, after: int = 3) -> bytes:
    """after so many events nothing for so many seconds, then the rest at once"""
    if number == after:
        reply.hold(seconds)
    return reply.frame(event)


@fault("stream")
def truncate(reply: StreamReply, event: bytes, number: int, after: int = 3) -> bytes:
    """after so many events half of one, then the connection is closed"""
    if number < after:
        return reply.frame(event)
    reply.over = reply.connection.transport.close
    return reply.frame(event)[: len(event) // 2]


@fault("stream")
def no_done(reply: StreamReply, event: bytes, number: int) -> bytes:
    """a proper end, but without [DONE]"""
    return b"" if event == DONE_EVENT else reply.frame(event)


@fault("stream")
def error_event(reply: StreamReply, event: bytes, number: int, after: int = 3) -> bytes:
    """after so many events an error event, [DONE] and a proper end, as vLLM does"""
    if number < after:
        return reply.frame(event)
    reply.over = reply.connection.done
    error = json.dumps(HTTPError(500, "fault on demand: error in the stream").body()).encode()
    return reply.frame(b"data: " + error + b"\n\n") + reply.frame(DONE_EVENT) + b"0\r\n\r\n"


@fault("stream")
def empty_deltas(reply: StreamReply, event: bytes, number: int) -> bytes:
    """events without any text"""
    return reply.frame(re.sub(rb'"(content|reasoning|text)":"[^"]*"', rb'"\1":""', event))


@fault("stream")
def bad_chunking(reply: StreamReply, event: bytes, number: int, after: int = 3) -> bytes:
    """after so many events a chunk size that is no number"""
    if number < after:
        return reply.frame(event)
    return b"zz\r\n" + event + b"\r\n"


@fault("stream")
def bad_json(reply: StreamReply, event: bytes, number: int, after: int = 3) -> bytes:
    """after so many events one whose JSON is cut in the middle"""
    return reply.frame(event if number != after else event[: len(event) // 2] + b"\n\n")


@fault("stream")
def split_utf8(reply: StreamReply, event: bytes, number: int, seconds: float = 0.005) -> bytes:
    """each event holds a two-byte character whose bytes leave so many seconds apart"""
    data = reply.frame(re.sub(rb'"(content|reasoning|text)":"', b"\\g<0>\xc3\xa9", event))
    middle = data.find(b"\xc3\xa9") + 1
    if middle:
        reply.write(data[:middle])
        reply.hold(seconds)
    return data[middle:]


@fault("stream")
def crlf(reply: StreamReply, event: bytes, number: int) -> bytes:
    """lines of events end with CR LF"""
    return reply.frame(event.replace(b"\n", b"\r\n"))


@fault("stream")
def comments(reply: StreamReply, event: bytes, number: int) -> bytes:
    """a comment line before each event"""
    return reply.frame(b": keep-alive\n\n") + reply.frame(event)


@fault("stream")
def oversized(reply: StreamReply, event: bytes, number: int, size: int = 4 << 20, after: int = 3) -> bytes:
    """after so many events one of so many bytes"""
    if number != after:
        return reply.frame(event)
    head, brace, tail = event.rpartition(b"}")
    return reply.frame(head + b',"padding":"' + b"x" * int(size) + b'"' + brace + tail)


def parse_fault(text: str) -> Fault:
    """A fault with its numbers, from `kind[,number...]`. Raises ValueError."""
    kind, *numbers = text.split(",")
    if kind not in FAULTS:
        raise ValueError("unknown fault {!r}; known faults: {}".format(kind, ", ".join(FAULTS)))
    stage, apply = FAULTS[kind]
    names = fault_numbers(FAULTS[kind])
    if len(numbers) > len(names):
        raise ValueError(f"a fault {kind!r} has at most {len(names)} numbers")
    return Fault(stage, partial(apply, **dict(zip(names, map(float, numbers)))))


def fault_numbers(fault: Fault) -> dict[str, Any]:
    """The numbers that a fault takes, with their defaults."""
    parameters = list(inspect.signature(fault.apply).parameters.values())
    return {parameter.name: parameter.default for parameter in parameters[STAGE_ARGUMENTS[fault.stage] :]}


def fault_usage(kind: str) -> str:
    return kind + "".join(f"[,{name}={default}]" for name, default in fault_numbers(FAULTS[kind]).items())


GENERATING = ("/v1/chat/completions", "/v1/completions")


class FaultRule:
    """When a fault of the configuration strikes."""

    def __init__(self, rule: dict[str, Any]) -> None:
        unknown = set(rule) - {"kind", "every", "first", "path"}
        if unknown or "kind" not in rule:
            raise ValueError(f"a fault has `kind` and may have `every`, `first` and `path`, not {sorted(unknown)}")
        self.fault = parse_fault(rule["kind"])
        self.every, self.first = int(rule.get("every", 1)), int(rule.get("first", NEVER))
        self.paths = (rule["path"],) if "path" in rule else GENERATING
        self._seen = 0
        if self.every < 1:
            raise ValueError("`every` must be at least 1")

    def strikes(self, path: str) -> bool:
        if path not in self.paths:
            return False
        self._seen += 1
        return self._seen % self.every == 0 and self._seen <= self.first


# ---------------------------------------------------------------------------------------------------- endpoints


def whole_number(body: dict[str, Any], names: Sequence[str], minimum: int) -> int | None:
    """The first of these keys that is set. Raises HTTPError."""
    for name in names:
        value = body.get(name)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise HTTPError(400, f"{name} must be a whole number of at least {minimum}, got {value!r}", name)
            return value
    return None


def chat_messages(body: dict[str, Any]) -> list[tuple[str, str]]:
    """(role, text) pairs of `messages`; the text parts of a content list are joined. Raises HTTPError."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise HTTPError(400, "messages must be a list that is not empty", "messages")
    pairs = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise HTTPError(400, "each message must be an object with a role", "messages")
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        if not isinstance(content, str):
            raise HTTPError(400, "content must be text or a list of parts", "messages")
        pairs.append((message["role"], content))
    return pairs


def token_ids(value: Any, tokenizer: Tokenizer, param: str) -> array[int]:
    """A JSON list as token ids. Raises HTTPError."""
    if not isinstance(value, list) or not all(isinstance(i, int) and 0 <= i < tokenizer.size for i in value):
        raise HTTPError(400, f"{param} must be a list of token ids below {tokenizer.size}", param)
    return array("H", value)


class Simulator:
    """The server: settings, engine, routes, counters."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.tokenizer = Tokenizer()
        self.cache = PrefixCache(settings.max_cached_tokens) if settings.prefix_caching else None
        scheduler = Scheduler(settings.timing, settings.engine, settings.max_num_seqs, self.cache, settings.seed)
        self.engine = Engine(scheduler, settings.time_scale, loop)
        self.connections: set[Connection] = set()
        self.numbers = itertools.count(1)
        self.finished_reasons = dict.fromkeys(("stop", "length", "abort", "error"), 0)
        self._inbox: deque[tuple[Connection, Request]] = deque()
        self._rules = [FaultRule(rule) for rule in settings.faults]
        self._send_log = SendLog(settings.send_log) if settings.send_log else None
        self._api_key = read_key(settings.api_key_file) if settings.api_key_file else None
        self._server: Any = None  # asyncio's, while listening
        self._started = int(time.time())
        self._routes: dict[str, tuple[str, Handler]] = {
            "/health": ("GET", self._health),
            "/version": ("GET", self._version),
            "/metrics": ("GET", self._metrics),
            "/v1/models": ("GET", self._models),
            "/v1/chat/completions": ("POST", self._generate),
            "/v1/completions": ("POST", self._generate),
            "/tokenize": ("POST", self._tokenize),
            "/detokenize": ("POST", self._detokenize),
            "/reset_prefix_cache": ("POST", self._reset_prefix_cache),
        }

    # -- from a request to its handler

    def enqueue(self, connection: Connection, request: Request) -> None:
        """Answer a request soon: long prompts take milliseconds, and due tokens and arriving requests come first."""
        self._inbox.append((connection, request))
        if len(self._inbox) == 1:
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        connection, request = self._inbox[0]
        if not connection.closed:
            self._serve(connection, request)
        self._inbox.popleft()
        if self._inbox:  # one at a time, each after another look at the sockets and the clock
            asyncio.get_running_loop().call_soon(self._work)

    def _serve(self, connection: Connection, request: Request) -> None:
        """Answer a request, unless a fault takes it over."""
        try:
            chosen = request.fault or self._choose_fault(request)
            if chosen is not None and chosen.stage == "request":
                chosen.apply(connection, request)
            else:
                self._route(connection, request._replace(fault=chosen))
        except HTTPError as error:
            connection.fail(error)
            connection.done()
        except Exception:  # a defect here must not take the server down
            traceback.print_exc()
            connection.fail(HTTPError(500, "internal error"))
            connection.done()

    def _choose_fault(self, request: Request) -> Fault | None:
        asked = request.headers.get("x-fault")
        if asked:
            try:
                return parse_fault(asked)
            except ValueError as error:
                raise HTTPError(400, str(error)) from None
        striking = [rule.fault for rule in self._rules if rule.strikes(request.path)]
        return striking[0] if striking else None

    def _route(self, connection: Connection, request: Request) -> None:
        """Call the handler of a request. Raises HTTPError."""
        method, handler = self._routes.get(request.path, ("", None))
        if handler is None:
            raise HTTPError(404, f"there is no {request.path}")
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            raise HTTPError(405, f"use {method}", headers=["allow: " + method])
        if self._api_key is not None and request.path.startswith("/v1"):
            self._authenticate(request)
        handler(connection, request)

    def _authenticate(self, request: Request) -> None:
        scheme, _blank, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode("latin-1"), self._api_key or b""):
            raise HTTPError(401, "invalid API key", headers=["www-authenticate: Bearer"])

    # -- handlers

    def _health(self, connection: Connection, request: Request) -> None:
        connection.send(200, b"", "text/plain")
        connection.done()

    def _version(self, connection: Connection, request: Request) -> None:
        settings = self.settings
        connection.answer(
            {
                "version": VERSION,
                "simulated": True,
                "gpu": settings.gpu,
                "engine": settings.engine,
                "time_scale": settings.time_scale,
            }
        )

    def _models(self, connection: Connection, request: Request) -> None:
        model = {
            "id": self.settings.served_name,
            "object": "model",
            "created": self._started,
            "owned_by": "llmfleet-simulator",
            "root": self.settings.model,
            "parent": None,
            "max_model_len": self.settings.max_model_len,
        }
        adapters = [
            {**model, "id": name, "root": name, "parent": self.settings.served_name} for name in self.settings.adapters
        ]
        connection.answer({"object": "list", "data": [model, *adapters]})

    def _tokenize(self, connection: Connection, request: Request) -> None:
        body = request.json()
        self._check_model(body)
        if "messages" in body:
            ids = self.tokenizer.chat(chat_messages(body), bool(body.get("add_generation_prompt", True)))
            special = body.get("add_special_tokens", False)
        elif isinstance(body.get("prompt"), str):
            ids = self.tokenizer.encode(body["prompt"])
            special = body.get("add_special_tokens", True)
        else:
            raise HTTPError(400, "give prompt (text) or messages", "prompt")
        tokens = ([BOS] if special else []) + ids.tolist()
        length = self.settings.max_model_len
        connection.answer({"count": len(tokens), "max_model_len": length, "tokens": tokens, "token_strs": None})

    def _detokenize(self, connection: Connection, request: Request) -> None:
        body = request.json()
        self._check_model(body)
        connection.answer({"prompt": self.tokenizer.decode(token_ids(body.get("tokens"), self.tokenizer, "tokens"))})

    def _reset_prefix_cache(self, connection: Connection, request: Request) -> None:
        if self.cache is not None:
            self.cache.clear()
        connection.answer({"success": True})

    def _metrics(self, connection: Connection, request: Request) -> None:
        connection.send(200, self._metrics_text().encode(), "text/plain; version=0.0.4; charset=utf-8")
        connection.done()

    def _metrics_text(self) -> str:
        """The names and labels of vLLM's Prometheus metrics; there is no preemption in this model."""
        scheduler, cache = self.engine.scheduler, self.cache
        usage = min(1.0, scheduler.context_tokens / max(self.settings.max_cached_tokens, 1))
        metrics: list[tuple[str, str, str, float]] = [
            ("num_requests_running", "gauge", "Number of requests in model execution batches.", scheduler.running),
            ("num_requests_waiting", "gauge", "Number of requests waiting to be processed.", len(scheduler.waiting)),
            ("kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.", usage),
            (
                "prefix_cache_queries_total",
                "counter",
                "Prefix cache queries, in tokens.",
                cache.queries if cache else 0,
            ),
            ("prefix_cache_hits_total", "counter", "Prefix cache hits, in tokens.", cache.hits if cache else 0),
            ("num_preemptions_total", "counter", "Cumulative number of preemptions.", 0),
            ("prompt_tokens_total", "counter", "Number of prefill tokens processed.", scheduler.prompt_tokens_total),
            ("generation_tokens_total", "counter", "Generation tokens processed.", scheduler.generation_tokens_total),
        ]
        label = f'engine="0",model_name={json.dumps(self.settings.served_name)}'
        lines = []
        for name, kind, text, value in metrics:
            lines += [f"# HELP vllm:{name} {text}", f"# TYPE vllm:{name} {kind}"]
            lines.append(f"vllm:{name}{{{label}}} {float(value)}")
        lines += ["# HELP vllm:request_success_total Finished requests.", "# TYPE vllm:request_success_total counter"]
        for reason, count in self.finished_reasons.items():
            lines.append(f'vllm:request_success_total{{{label},finished_reason="{reason}"}} {float(count)}')
        return "\n".join(lines) + "\n"

    def _generate(self, connection: Connection, request: Request) -> None:
        generation = self._parse_generation(request.json(), request.path == GENERATING[0])
        if request.fault is not None and request.fault.stage == "generation":
            generation = request.fault.apply(generation)
        kind = StreamReply if generation.stream else WholeReply
        connection.reply = kind(connection, request, generation)
        self.engine.submit(connection.reply.job, request.arrived)

    def _check_model(self, body: dict[str, Any]) -> None:
        model = body.get("model")
        if model is not None and model not in (self.settings.served_name, *self.settings.adapters):
            raise HTTPError(404, f"The model `{model}` does not exist.", "model")

    def _parse_generation(self, body: dict[str, Any], chat: bool) -> Generation:
        self._check_model(body)
        if body.get("n") not in (None, 1):
            raise HTTPError(400, "this server gives one choice per request", "n")
        if chat:
            prompt = self.tokenizer.chat(chat_messages(body), bool(body.get("add_generation_prompt", True)))
        else:
            prompt = self._completion_prompt(body)
        room = self.settings.max_model_len - len(prompt)
        limit = whole_number(body, ("max_completion_tokens", "max_tokens") if chat else ("max_tokens",), 1)
        if room < 1 or (limit or 0) > room:
            raise HTTPError(
                400,
                f"This model's maximum context length is {self.settings.max_model_len} tokens. However, you requested "
                f"{limit or 1} output tokens and your prompt contains {len(prompt)} input tokens.",
                "input_tokens",
            )
        target = limit or (room if chat else min(16, room))
        natural = max(32 + zlib.crc32(prompt.tobytes()) % 481, whole_number(body, ("min_tokens",), 0) or 0)
        stops = not body.get("ignore_eos") and natural < target
        options = body.get("stream_options") or {}
        if not isinstance(options, dict):
            raise HTTPError(400, "stream_options must be an object", "stream_options")
        return Generation(
            model=str(body.get("model") or self.settings.served_name),
            chat=chat,
            prompt=prompt,
            target=natural if stops else target,
            finish_reason="stop" if stops else "length",
            stream=bool(body.get("stream")),
            include_usage=bool(options.get("include_usage")),
            continuous_usage=bool(options.get("include_usage") and options.get("continuous_usage_stats")),
            stream_interval=whole_number(body, ("stream_interval",), 1) or self.settings.stream_interval,
        )

    def _completion_prompt(self, body: dict[str, Any]) -> array[int]:
        prompt = body.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
            prompt = prompt[0]
        if isinstance(prompt, list) and prompt:
            return token_ids(prompt, self.tokenizer, "prompt")
        if not isinstance(prompt, str) or not prompt:
            raise HTTPError(400, "prompt must be one text or one list of token ids", "prompt")
        bos = [BOS] if body.get("add_special_tokens", True) else []
        return array("H", bos) + self.tokenizer.encode(prompt)

    # -- life of the server

    def finished(self, reason: str, reply: Reply) -> None:
        """A generation has ended, well or not."""
        self.finished_reasons[reason] += 1
        reply.connection.reply = None
        if self._send_log is not None:
            self._send_log.add(reply)

    async def listen(self, sock: socket.socket) -> None:
        settings = self.settings
        context = None
        if settings.certfile:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(settings.certfile, settings.keyfile or None)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=4096, ssl=context)

    def pause_listening(self, seconds: float) -> None:
        """Connections are refused for so long."""
        if self._server is None:
            return
        address = self._server.sockets[0].getsockname()
        self._server.close()
        self._server = None

        def resume() -> None:
            self._resuming = asyncio.ensure_future(self.listen(bind(address[0], address[1])))

        asyncio.get_running_loop().call_later(seconds, resume)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            if connection.reply is not None:
                connection.reply.abort()
            connection.transport.abort()
        if self._send_log is not None:
            self._send_log.close()


# ---------------------------------------------------------------------------------------------------- main


def read_key(path: str) -> bytes:
    """The key in a file. Raises OSError where there is none: with an empty key the server would be open."""
    key = Path(path).read_bytes().strip()
    if not key:
        raise OSError(f"{path} holds no key")
    return key


def option(default: Any, text: str) -> Any:
    """A field of Settings with its help."""
    return field(default=default, metadata={"help": text})  # pylint: disable=invalid-field-call


@dataclass(frozen=True)
class Settings:
    """Every option, as --long-option and as a key of the --config file."""

    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(8000, "port to listen on; 0 takes a free one and prints it")
    model: str = option("LiquidAI/LFM2.5-8B-A1B", "model that /v1/models names as root")
    served_model_name: str = option("", "name that requests must use (default: the model)")
    adapters: tuple[str, ...] = option((), "names of LoRA adapters, a JSON list; they answer as the model does")
    gpu: str = option("generic", "GPU class that /version names; the timing is the option `timing`")
    engine: str = option("vllm", "vllm: prefill mixed into decode steps; sglang: prefill first")
    timing: Timing = field(
        default=Timing(), metadata={"help": "JSON object with any of: {}".format(", ".join(Timing._fields))}
    )
    time_scale: float = option(1.0, "2.0 runs the model twice as fast")
    max_model_len: int = option(32768, "longest prompt and answer together, in tokens")
    max_num_seqs: int = option(256, "requests that are in the engine at once; others wait")
    prefix_caching: bool = option(True, "skip the prefill of prompt blocks seen before (on or off)")
    max_cached_tokens: int = option(2_000_000, "size of the prefix cache in tokens")
    stream_interval: int = option(1, "tokens per event")
    reasoning_tokens: int = option(0, "so many tokens of each chat answer come as reasoning")
    startup_delay_s: float = option(0.0, "seconds during which connections are refused, as while a model is loaded")
    seed: int = option(0, "seed of the step-time jitter")
    api_key_file: str = option("", "file that holds the key which /v1 then asks for")
    certfile: str = option("", "TLS certificate (PEM)")
    keyfile: str = option("", "TLS key (PEM); default: in the certificate's file")
    send_log: str = option("", "file that gets one JSON line per answer with the time of each event")
    faults: list[dict[str, Any]] = field(
        default_factory=list,
        metadata={"help": 'JSON list of faults, such as [{"kind": "reset_stream,10", "every": 5}]'},
    )

    @property
    def served_name(self) -> str:
        return self.served_model_name or self.model


def as_timing(value: Any) -> Timing:
    value = json.loads(value) if isinstance(value, str) else value
    if isinstance(value, Timing):
        return value
    if not isinstance(value, dict) or not set(value) <= set(Timing._fields):
        raise ValueError("give an object with any of: {}".format(", ".join(Timing._fields)))
    defaults = Timing._field_defaults
    if not all(isinstance(n, (int, float)) and n >= 0 for n in value.values()):
        raise ValueError("every value must be a number of at least 0")
    return Timing(**{name: type(defaults[name])(number) for name, number in value.items()})


def as_list(value: Any) -> list[Any]:
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, list):
        raise ValueError("give a list")
    for rule in value:
        FaultRule(rule)
    return value


def as_switch(value: Any) -> bool:
    switches = {"on": True, "true": True, "off": False, "false": False}
    if str(value).lower() not in switches:
        raise ValueError("give on or off")
    return switches[str(value).lower()]


def as_names(value: Any) -> tuple[str, ...]:
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("give a list of names")
    return tuple(value)


CONVERTERS: dict[type, Callable[[Any], Any]] = {Timing: as_timing, list: as_list, tuple: as_names, bool: as_switch}
MINIMA = {"port": 0, "time_scale": 1e-6, "max_model_len": 2, "max_num_seqs": 1, "max_cached_tokens": 0,
          "stream_interval": 1, "reasoning_tokens": 0, "startup_delay_s": 0}  # fmt: skip


def make_settings(values: dict[str, Any]) -> Settings:
    """Settings from texts or JSON values by option name. Raises ValueError naming the option."""
    defaults = Settings()
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name not in {item.name for item in fields(Settings)}:
            raise ValueError(f"unknown option {name!r}")
        kind = type(getattr(defaults, name))
        try:
            result[name] = getattr(defaults, name) if value is None else CONVERTERS.get(kind, kind)(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"option {name}: {error}") from None
        if name in MINIMA and result[name] < MINIMA[name]:
            raise ValueError(f"option {name} must be at least {MINIMA[name]}, not {value}")
    settings = Settings(**result)
    if settings.port > 65535:
        raise ValueError(f"option port must be at most 65535, not {settings.port}")
    if settings.engine not in ("vllm", "sglang"):
        raise ValueError(f"option engine must be vllm or sglang, not {settings.engine!r}")
    return settings


def parse_arguments(argv: Sequence[str] | None) -> Settings:
    """Settings from the command line over those of the --config file."""
    faults = "\n".join(f"  {fault_usage(name):42} {entry.apply.__doc__}" for name, entry in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="llmfleet_simulator.py",
        description="A simulated, OpenAI-compatible inference server. Its speed is a model, not a measurement.",
        epilog="faults, by request header (X-Fault: stall,5) or by --faults, where `every` (each n-th request), `first`\n"
        "(the first n) and `path` (default: the completion endpoints) say which requests they strike:\n" + faults,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="JSON object with any of these options")
    defaults = Settings()
    for item in fields(Settings):
        default = getattr(defaults, item.name)
        shown = "" if default in ("", [], ()) or isinstance(default, Timing) else f" (default: {default})"
        flag = "--" + item.name.replace("_", "-")
        parser.add_argument(flag, default=argparse.SUPPRESS, metavar="VALUE", help=item.metadata["help"] + shown)
    given = vars(parser.parse_args(argv))
    path = given.pop("config")
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        return make_settings({**{name.replace("-", "_"): value for name, value in config.items()}, **given})
    except (OSError, ValueError, AttributeError) as error:
        parser.error(str(error))


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: the port is taken, and connections are refused."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def raise_file_limit(wanted: int = 65536) -> None:
    """Allow as many open connections as the system lets an ordinary user have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with contextlib.suppress(ValueError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


async def run(settings: Settings, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(settings, loop)
    try:
        await asyncio.wait_for(stop.wait(), settings.startup_delay_s)
        return
    except asyncio.TimeoutError:
        await simulator.listen(sock)
    host, port = sock.getsockname()[:2]
    scheme = "https" if settings.certfile else "http"
    where = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    print(f"SIMULATED {settings.engine} on {settings.gpu}: ready at {where}", flush=True)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # a full collection is a pause that every stream would see
    await stop.wait()
    simulator.close()


def main(argv: Sequence[str] | None = None) -> int:
    settings = parse_arguments(argv)
    raise_file_limit()
    try:
        sock = bind(settings.host, settings.port)
    except OSError as error:
        print(f"cannot listen on {settings.host} port {settings.port}: {error}", file=sys.stderr)
        return 1
    try:
        asyncio.run(run(settings, sock))
    except OSError as error:  # a file that an option names
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
