#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The Python module: calls that wait, or do not: signals, threads, forks. TAP on standard output."""
import asyncio
import gc
import hashlib
import multiprocessing
import os
import select
import signal
import sys
import threading
import time

from python_flow import (Thread, blocked, child, equal, handler, kick_main, main, raises, test, until)

PAGE = 4096


# ------------------------------------------------------------------------ not waiting

@test
def without_blocking(flow):
    """not blocking: None, BlockingIOError for half a line, what there is for read()"""
    out, inp = flow.out(blocking=False), flow.inp(blocking=False)
    equal((None, None, None), (inp.read(), inp.read(5), inp.readinto(bytearray(5))))
    out.write(b"half")
    with raises(BlockingIOError, "EAGAIN"):
        inp.readline()
    out.write(b" a line\nrest")
    equal(b"half a line\n", inp.readline())
    equal(b"rest", inp.read())
    total = 0
    while (n := out.write(b"z" * 100000)) is not None:
        total += n
    equal(total, len(inp.read()))
    out.blocking = True
    inp.blocking = True
    equal((True, True), (os.get_blocking(out.fileno()), inp.blocking))
    Thread(lambda: (time.sleep(0.1), out.write(b"late"))).end()
    equal(b"late", inp.read(4))
    out.end()
    inp.blocking = False
    equal(b"", inp.read())


@test
def polled(flow):
    """not blocking: poll() and select() take ports"""
    out, inp = flow.out(), flow.inp()
    poller = select.poll()
    poller.register(inp, select.POLLIN)
    equal([], poller.poll(0))
    out.write(b"x")
    equal([(inp.fileno(), select.POLLIN)], poller.poll(10000))
    equal(([inp], [out], []), select.select([inp], [out], [], 10))


@test
def with_asyncio(flow):
    """not blocking: asyncio reads and writes ports"""
    out, inp = flow.out(), flow.inp()
    data = os.urandom(2 << 20)

    async def run():
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), inp)
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, out)
        writer = asyncio.StreamWriter(transport, protocol, None, loop)

        async def write():
            for i in range(0, len(data), 50000):
                writer.write(data[i:i + 50000])
                await writer.drain()
            writer.close()

        task = asyncio.ensure_future(write())
        got = await reader.read()
        await task
        return got

    equal(data, asyncio.run(run()))


# --------------------------------------------------------------------------- signals

@test
def interrupted_read(flow):
    """signals: a handler runs while a read waits, and the read goes on (PEP 475)"""
    out, inp = flow.out(), flow.inp()
    ran = []
    main_thread = threading.get_native_id()

    def kick():
        until(lambda: blocked(main_thread))
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: ran)
        out.write(b"data")

    with handler(signal.SIGUSR1, lambda *_: ran.append(1)):
        kicker = Thread(kick)
        equal(b"data", inp.read(4))
        kicker.end()
    equal([1], ran)


@test
def interrupted_loses_nothing(flow):
    """signals: KeyboardInterrupt ends a read, and loses no byte of what it had"""
    out, inp = flow.out(), flow.inp()
    to = bytearray(10)
    for call in (lambda: inp.read(10), inp.read, inp.readline, lambda: inp.readinto(to)):
        kicker = kick_main(out, b"12345", signal.SIGINT)
        with raises(KeyboardInterrupt):
            call()
        kicker.end()
        equal(b"12345", inp.read(5))


@test
def interrupted_write(flow):
    """signals: a write that waits for room is interrupted, or goes on"""
    out, inp = flow.out(), flow.inp()
    kicker = kick_main(out, None, signal.SIGINT)
    with raises(KeyboardInterrupt):
        out.write(b"x" * (3 << 20))
    kicker.end()
    held = inp.info().unread or out.info().unread
    assert 0 < held <= 1 << 20, held
    equal(held, len(inp.read(held)))
    ran = []
    with handler(signal.SIGUSR1, lambda *_: ran.append(Thread(inp.read, 3 << 20))):
        kicker = kick_main(out, None, signal.SIGUSR1)
        equal(3 << 20, out.write(b"y" * (3 << 20)))
        kicker.end()
    equal(b"y" * (3 << 20), ran[0].end())


@test
def interrupted_open(flow):
    """signals: so is an open that waits for a link"""
    kicker = kick_main(None, None, signal.SIGINT)
    with raises(KeyboardInterrupt):
        flow.inp("a")
    kicker.end()
    ran = []
    with handler(signal.SIGUSR1, lambda *_: (ran.append(1), flow.link("z", "a"))):
        kicker = kick_main(None, None, signal.SIGUSR1)
        flow.inp("a").close()
        kicker.end()
    equal([1], ran)


@test
def reentered(flow):
    """signals: a handler that reads what is being read is told so, and does not hang"""
    out, inp = flow.out(), flow.inp()

    def read(*_):
        with raises(RuntimeError, text="already"):
            inp.read(1)
        out.write(b"x")

    with handler(signal.SIGUSR1, read):
        kicker = kick_main(None, None, signal.SIGUSR1)
        equal(b"x", inp.read(1))
        kicker.end()


# --------------------------------------------------------------------------- threads

@test
def others_run(flow):
    """threads: others run while one waits in open, read, or write"""
    waits = []
    for wait in (lambda: flow.inp("a"), lambda: flow.inp().read(1), lambda: flow.out().write(b"x" * (2 << 20))):
        thread = Thread(wait)
        # This thread goes on, and sees that one asleep.
        until(lambda: blocked(thread.native_id))  # pylint: disable=cell-var-from-loop
        waits.append(thread)
        if len(waits) == 2:
            flow.out().write(b"!")
            thread.end()
    flow.link("z", "a")
    waits[0].end().close()
    inp = flow.inp()
    while inp.read(1 << 20):
        pass
    waits[2].end()


@test
def torn_lines(flow):
    """threads: four that read lines of one port get whole ones, each once"""
    out, inp = flow.out(), flow.inp()
    want = [b"%d " % i + b"l" * (i % 500) + b"\n" for i in range(4000)]
    readers = [Thread(lambda: list(iter(inp.readline, b""))) for _ in range(4)]
    for i in range(0, len(want), 50):
        out.write(b"".join(want[i:i + 50]))
    out.close()
    equal(sorted(want), sorted(line for reader in readers for line in reader.end()))


@test
def closed_under_reader(flow):
    """threads: a port that is closed while another reads it gives its descriptor to nobody"""
    out, inp = flow.out(), flow.inp()
    fd = inp.fileno()
    reader = Thread(inp.read, 5)
    until(lambda: blocked(reader.native_id))
    inp.close()
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
    assert fd not in files
    out.write(b"12345")
    equal(b"12345", reader.end())
    equal(fd, os.open("/dev/null", os.O_RDONLY))
    for file in files + [fd]:
        os.close(file)
    with raises(ValueError, text="closed"):
        inp.read(1)


@test
def closed_under_waiter(flow):
    """threads: who waits for another's read, and finds the port closed then, reads nothing of it"""
    out, inp = flow.out(), flow.inp()
    reader = Thread(inp.read, 1)
    until(lambda: blocked(reader.native_id))
    waiter = Thread(inp.read, 1)
    until(lambda: blocked(waiter.native_id, "futex"))
    inp.close()
    out.write(b"xy")
    equal(b"x", reader.end())
    with raises(ValueError, text="closed"):
        waiter.end()


@test
def lock_is_interruptible(flow):
    """threads: waiting for another thread's read can be interrupted"""
    out, inp = flow.out(), flow.inp()
    reader = Thread(inp.read, 1)
    until(lambda: blocked(reader.native_id))
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with raises(KeyboardInterrupt):
        inp.read(1)
    timer.join()
    out.write(b"x")
    equal(b"x", reader.end())


# ------------------------------------------------------------------------------ forks

@test
def forked(flow):
    """fork: a child reads and writes on, and what was read ahead is there"""
    out, inp = flow.out(), flow.inp()
    out.write(b"one\ntwo\n")
    equal(b"one\n", inp.readline())

    def run():
        equal(b"two\n", inp.readline())
        out.write(b"three\n")

    equal(0, child(run))
    equal(b"two\n", inp.readline())
    equal(b"three\n", inp.readline())


@test
def forked_under_reader(flow):
    """fork: a child can read what another thread of its parent was reading"""
    out, inp = flow.out(), flow.inp()
    reader = Thread(inp.read, 1)
    until(lambda: blocked(reader.native_id))

    # What thread it was is not there any more; the port's lock must be.
    inp.blocking = False
    equal(0, child(lambda: equal(None, inp.read(1))))
    out.write(b"x")
    equal(b"x", reader.end())


@test
def forked_memory(flow):
    """fork: memoryviews and memory of the parent's are ValueError in a child, which does not crash"""
    out, inp = flow.out(), flow.inp()
    out.send(b"received")
    record = inp.receive()
    extent = out.alloc(100)
    view, written = memoryview(record), memoryview(extent)
    part = view[1:].cast("b")

    def run():
        for call in (lambda: bytes(view), lambda: view[0], lambda: part[0], part.tolist, lambda: bytes(record),
                     lambda: memoryview(extent), lambda: out.send(extent), lambda: extent.write(b"x"),
                     lambda: written.__setitem__(0, 1), lambda: hashlib.md5(view)):
            with raises(ValueError):
                call()
        equal(True, extent.released)
        record.release()
        extent.release()
        del record_of_parent[:]
        gc.collect()

    record_of_parent = [record]
    equal(0, child(run))
    # What the child let go of is the parent's still.
    equal(b"received", bytes(view))
    written[:4] = b"mine"
    for each in (part, view, written):
        each.release()
    extent.trim(4)
    out.send(extent)
    record.release()
    equal(b"mine", bytes(inp.receive()))


@test
def forked_frozen(flow):
    """fork: so they are after gc.freeze(), and what was frozen stays so"""
    out = flow.out()
    view = memoryview(out.alloc(100))
    gc.freeze()

    def run():
        with raises(ValueError):
            view[0] = 1
        assert gc.get_freeze_count() > 0

    try:
        equal(0, child(run))
    finally:
        gc.unfreeze()
    view[0] = 1


@test
def forked_window(flow):
    """fork: a child that sends and receives has a window of its own"""
    out, inp = flow.out(), flow.inp()
    out.send(b"to the child")
    mine = out.alloc(PAGE)
    inp.window_size()

    def run():
        with inp.receive() as record:
            equal(b"to the child", bytes(record))
        extent = out.alloc(10)
        extent.write(b"from there")
        out.send(extent)
        out.close()
        inp.close()

    equal(0, child(run))
    mine.write(b"not touched")
    equal(b"from there", bytes(inp.receive()))
    out.send(mine)
    equal(b"not touched", bytes(inp.receive())[:11])


@test
def multiprocessed(flow):
    """fork: multiprocessing forks, too"""
    out, inp = flow.out(), flow.inp()
    view = memoryview(out.alloc(10))

    def run():
        try:
            bytes(view)
        except ValueError:
            out.send(b"as it should")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    equal(0, process.exitcode)
    equal(b"as it should", bytes(inp.receive()))
    view.release()


if __name__ == "__main__":
    sys.exit(main())
