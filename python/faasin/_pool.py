# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where secrets find room: pieces of a stage's private memory.

The allocator is the standard library's of shared memory, multiprocessing.heap, as its books are
objects and not in what it gives out: any thread can keep them, and a stray pointer of a stage does
not reach them. What is dropped it takes from a list, when it is asked for room again. Here its
arenas are private memory. jemalloc, which domains have, cannot be loaded into an interpreter that
runs: it takes more static TLS than there is.
"""
import contextlib
import mmap
from multiprocessing import heap

from faasin import _core

OVER = "the stage is over that this secret would be of"


class _Arena:
    """Private memory, as the allocator wants it."""

    def __init__(self, memory):
        self.memory = memory
        self.size = len(memory)


class _Heap(heap.Heap):
    """An allocator over private memory of a stage, which it adds to a list of such memory.

    In the child of a fork() malloc() calls __init__() again, without these.
    """

    def __init__(self, key=None, memories=None):
        super().__init__()
        if memories is not None:
            self._key, self._memories = key, memories

    def _new_arena(self, size):
        length = self._roundup(max(self._size, size), mmap.PAGESIZE)
        arena = _Arena(_core.Private(self._key, length))
        if self._size < self._DOUBLE_ARENA_SIZE_UNTIL:
            self._size *= 2
        self._arenas.append(arena)
        self._memories.append(arena.memory)
        return (arena, 0, length)

    def _discard_arena(self, arena):
        super()._discard_arena(arena)
        if arena not in self._arenas:
            # The stage's end empties the list.
            with contextlib.suppress(ValueError):
                self._memories.remove(arena.memory)
            arena.memory.release()


class Pool:
    """What a run of a stage has its secrets from. ended: it has no more.

    A heap that is in use is not idle: what a handler of signals, or the collector, does in the middle of
    that has another one, and does not wait for a lock that nobody gives back. Nor is one that
    an exception in the middle left behind.
    """

    def __init__(self, key, memories):
        self.ended = False
        self._key = key
        self._memories = memories
        self._idle = []
        self._forks = _core.count_forks()

    def take(self, size):
        """A piece: a Private, where in there it begins, a list, and what is put there when it is free."""
        if self.ended:
            raise ValueError(OVER)
        if self._forks != _core.count_forks():
            self._idle, self._forks = [], _core.count_forks()
        try:
            own = self._idle.pop()
        except IndexError:
            own = _Heap(self._key, self._memories)
        try:
            block = own.malloc(size)
        except MemoryError:
            self._idle.append(own)
            raise
        self._idle.append(own)
        # It can have ended meanwhile, and not know of memory that is new. No call follows, so no end.
        if self.ended:
            raise ValueError(OVER)
        return block[0].memory, block[1], own._pending_free_blocks, block
