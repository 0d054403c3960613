#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The Python module: records, and the memory that they are in. TAP on standard output."""
import ctypes
import gc
import hashlib
import os
import pickle
import signal
import sys
import threading
import warnings

from python_flow import (ROOT, Flow, Thread, blocked, ends, equal, faasctl, grows, handler, kick_main, main,
                         python, raises, test, until)

if os.path.isdir("/sys/module/faasin"):
    import faasin

MIB = 1 << 20
PAGE = 4096


# ---------------------------------------------------------------------------- records

@test
def records(flow):
    """records: those sent are those received, in order, of all sizes"""
    out, inp = flow.out(), flow.inp()
    want = [os.urandom(1 + i * 7919 % 200000) for i in range(60)]

    def send():
        for data in want:
            out.send(data)
        out.close()

    sender = Thread(send)
    equal(want, [bytes(record) for record in inp.records()])
    sender.end()
    equal(None, inp.receive())
    equal([], list(inp.records()))


@test
def parts(flow):
    """records: parts stay apart, go together, and can be of any bytes-like kind"""
    out, inp = flow.out(), flow.inp()
    extent = out.alloc(10)
    equal(10, extent.write(b"0123456789"))
    out.send(b"bytes", bytearray(b"array"), memoryview(b"a view")[2:], extent)
    out.send(*[bytes([i]) for i in range(64)])
    out.end()
    record = inp.receive()
    equal([b"bytes", b"array", b"view", b"0123456789"], [bytes(e) for e in record.extents])
    equal((24, 24, b"bytesarrayview0123456789"), (record.nbytes, len(record), bytes(record)))
    with raises(BufferError, text="4 parts"):
        memoryview(record)
    equal(64, len(inp.receive().extents))


@test
def gathered(flow):
    """records: of an input with several links, stream by stream, each with its link's window"""
    flow.link("x,y", "z")
    with flow.inp("z", blocking=False) as inp, raises(BlockingIOError):
        inp.receive()
    y = flow.out("y")
    flow.out("x").close()
    y.send(b"of y")
    with flow.inp("z") as inp:
        equal(b"of y", bytes(inp.receive()))
        y.close()
        equal(None, inp.receive())
    with flow.inp("z") as inp:
        equal(None, inp.receive())
    inp = flow.inp("z")
    receiver = Thread(lambda: bytes(inp.receive()))
    until(lambda: blocked(receiver.native_id))
    with flow.out("x") as x:
        x.send(b"later")
    equal(b"later", receiver.end())
    equal(None, inp.receive())


@test
def mixed(flow):
    """records: what was written is received, what was sent can be read"""
    out, inp = flow.out(), flow.inp()
    out.write(b"written")
    with inp.receive() as record:
        equal(b"written", bytes(record))
        out.write(b"more")
        with raises(OSError, "EBUSY", "released first"):
            inp.receive()
    with inp.receive() as record:
        equal(b"more", bytes(record))
    out.send(b"sent\nas a record\n")
    equal(b"sent\n", inp.readline())
    out.send(b"next")
    with raises(ValueError, text="read ahead"):
        inp.receive()
    equal(b"as a record\n", inp.readline())
    with inp.receive() as record:
        equal(b"next", bytes(record))


@test
def too_large(flow):
    """records: one larger than the window is RecordTooLarge, an OSError; others go on"""
    out, inp = flow.out(), flow.inp()
    size = out.window_size()
    equal((MIB - PAGE, size), (size, inp.window_size()))
    for call in (lambda: out.alloc(size + 1), lambda: out.send(bytes(size + 1)),
                 lambda: out.send(bytes(size // 2), bytes(size // 2), b"xyz")):
        with raises(faasin.RecordTooLarge, "EMSGSIZE", "large"):
            call()
    assert issubclass(faasin.RecordTooLarge, OSError)
    out.send(bytes(size))
    with inp.receive() as record:
        equal(size, len(record))


@test
def no_room(flow):
    """records: parts that might never find room at once are RecordTooLarge, and do not wait for it"""
    small = Flow("--capacity", "64K")
    for of, sizes in ((flow, [(MIB - PAGE) // 2] * 2), (flow, [120 * PAGE, 135 * PAGE]),
                      (flow, [300 << 10] * 2), (small, [1] * 64)):
        for blocking in (True, False):
            with of.out(blocking=blocking) as out, of.inp() as inp:
                with raises(faasin.RecordTooLarge, "EMSGSIZE", "parts"):
                    out.send(*[bytes(size) for size in sizes])
                out.send(*[bytes(size // 4 + 1) for size in sizes[:8]])
                equal(len(sizes[:8]), len(inp.receive().extents))
    small.remove()


@test
def room_in_pieces(flow):
    """records: several parts find room, wherever others lie"""
    out, inp = flow.out(), flow.inp()
    for held in (1, 100000, 300000):
        extent = out.alloc(held)
        out.send(b"x" * 50000, b"y" * 100000, b"z" * 5000)
        between = inp.receive()
        out.send(b"x" * 50000, b"y" * 100000, b"z" * 5000)
        extent.release()
        between.release()
        equal([50000, 100000, 5000], [part.nbytes for part in inp.receive().extents])


@test
def refused(flow):
    """records: what cannot be sent, allocated or received, and that it changes nothing"""
    out, inp = flow.out(), flow.inp()
    mine, other = out.alloc(10), flow.out()
    for kind, call in ((ValueError, out.send), (ValueError, lambda: out.send(b"")),
                       (ValueError, lambda: out.send(*[b"x"] * 65)), (TypeError, lambda: out.send("text")),
                       (TypeError, lambda: out.send(b"x", None)), (ValueError, lambda: other.send(mine)),
                       (ValueError, lambda: out.send(mine, mine)), (ValueError, lambda: out.alloc(0)),
                       (ValueError, lambda: out.alloc(-1)), (TypeError, lambda: out.alloc("1")),
                       (OverflowError, lambda: out.alloc(1 << 70)), (TypeError, faasin.Extent),
                       (TypeError, faasin.Record), (ValueError, lambda: mine.write(b"x" * 11)),
                       (ValueError, lambda: mine.write(b"x", -1)), (ValueError, lambda: mine.write(b"x", 10)),
                       (ValueError, lambda: mine.trim(0)), (ValueError, lambda: mine.trim(11)),
                       (ValueError, lambda: mine.trim(-1)), (TypeError, lambda: mine.write("text"))):
        with raises(kind):
            call()
    for call in (out.receive, lambda: inp.send(b"x"), lambda: inp.alloc(1)):
        with raises(OSError, "EBADF"):
            call()
    equal(False, mine.released)
    mine.write(b"intact!!!!")
    mine.trim(6)
    out.send(mine)
    record = inp.receive()
    equal(b"intact", bytes(record))
    with raises(ValueError, text="received"):
        record.extents[0].trim(1)
    with raises(TypeError, text="changed"):
        record.extents[0].write(b"x")


@test
def one_page(flow):
    """records: a link of one page has no windows, and says so"""
    faasctl("link", "--capacity", "4K", flow.name, "c", "d")
    with raises(OSError, "EINVAL", "one page"):
        flow.out("c").alloc(1)
    with raises(OSError, "EINVAL", "one page"):
        flow.inp("d").receive()


@test
def ends_of_records(flow):
    """records: an abort is StreamAborted after the last record; a reader gone BrokenPipeError"""
    out, inp = flow.out(), flow.inp()
    out.send(b"one")
    out.abort()
    with raises(BrokenPipeError, "EPIPE", "over"):
        out.send(b"two")
    with raises(BrokenPipeError, "EPIPE"):
        out.alloc(1)
    with inp.receive() as record:
        equal(b"one", bytes(record))
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        inp.receive()
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        for _ in inp.records():
            pass


@test
def loop(flow):
    """records: a loop releases each, but what has memoryviews in use"""
    out, inp = flow.out(), flow.inp()
    for i in range(5):
        out.send(b"%d" % i)
    out.end()
    seen, kept = [], None
    for i, record in enumerate(inp.records()):
        seen.append(record)
        if i == 1:
            kept = memoryview(record)
    equal([True, False, True, True, True], [r.extents[0].released for r in seen])
    equal(b"1", bytes(kept))
    kept.release()
    seen[1].release()
    equal(True, seen[1].extents[0].released)


# -------------------------------------------------------------------------- no copying

@test
def handed_off(flow):
    """windows: what is handed off is not copied: the statistics say so"""
    out, inp = flow.out(), flow.inp()
    extent = out.alloc(300000)
    with memoryview(extent) as view:
        view[:] = bytes(range(250)) * 1200
    out.send(extent)
    with inp.receive() as record, memoryview(record) as view:
        equal(hashlib.sha256(bytes(range(250)) * 1200).digest(), hashlib.sha256(view).digest())
        equal((True, 1, "B", 300000), (view.readonly, view.ndim, view.format, view.nbytes))
        with raises(TypeError):
            view[0] = 1
    shown = faasctl("show", flow.name, text=True).stdout
    assert "300.0 kB in, 300.0 kB out by reference; copied 0 B in, 0 B out" in shown, shown


@test
def filled_by_kernel(flow):
    """windows: files are read into what is allocated, and written from what is received"""
    out, inp = flow.out(), flow.inp()
    source, sink = os.memfd_create("source"), os.memfd_create("sink")
    data = os.urandom(200000)
    os.write(source, data)
    os.lseek(source, 0, os.SEEK_SET)
    extent = out.alloc(MIB // 2)
    with open(source, "rb", buffering=0) as file:
        extent.trim(file.readinto(extent))
    out.send(extent)
    with inp.receive() as record:
        equal(200000, os.write(sink, record))
        equal(data, os.pread(sink, MIB, 0))
    os.close(sink)


@test
def bounded(flow):
    """windows: alloc() waits for room, others run meanwhile, and signals interrupt it"""
    out, inp = flow.out(), flow.inp()
    extents = [out.alloc(MIB // 4) for _ in range(3)]
    waiter = Thread(out.alloc, MIB // 2)
    until(lambda: blocked(waiter.native_id))
    for extent in extents:
        extent.release()
    waiter.end().release()
    full = out.alloc(out.window_size())
    kicker = kick_main(None, None, signal.SIGINT)
    with raises(KeyboardInterrupt):
        out.alloc(PAGE)
    kicker.end()
    out.blocking = False
    with raises(BlockingIOError, "EAGAIN"):
        out.alloc(PAGE)
    inp.blocking = False
    with raises(BlockingIOError, "EAGAIN"):
        inp.receive()
    full.release()
    out.alloc(PAGE).release()


@test
def receive_interrupted(flow):
    """windows: receive() waits while others run; a handler runs and it goes on, or is interrupted"""
    out, inp = flow.out(), flow.inp()
    kicker = kick_main(None, None, signal.SIGINT)
    with raises(KeyboardInterrupt):
        inp.receive()
    kicker.end()
    with handler(signal.SIGUSR1, lambda *_: out.send(b"by the handler")):
        kicker = kick_main(None, None, signal.SIGUSR1)
        equal(b"by the handler", bytes(inp.receive()))
        kicker.end()


# ------------------------------------------------------------------------------ misuse

@test
def after_release(flow):
    """misuse: memory that was released is ValueError, in every way; releasing again is nothing"""
    out, inp = flow.out(), flow.inp()
    extent = out.alloc(10)
    view = memoryview(extent)
    with raises(BufferError, text="in use"):
        extent.release()
    view.release()
    with raises(ValueError):
        bytes(view)
    extent.release()
    extent.release()
    for call in (lambda: memoryview(extent), lambda: extent.write(b"x"), lambda: extent.trim(1),
                 lambda: out.send(extent), lambda: bytes(extent), extent.__enter__,
                 lambda: hashlib.md5(extent)):
        with raises(ValueError, text="released"):
            call()
    out.send(b"x")
    record = inp.receive()
    part = record.extents[0]
    record.release()
    record.release()
    part.release()
    for call in (lambda: memoryview(record), lambda: bytes(record), lambda: memoryview(part), record.__enter__):
        with raises(ValueError, text="released"):
            call()
    assert "released" in repr(part) and part.released


@test
def after_send(flow):
    """misuse: memory that was sent is ValueError; it cannot be sent while memoryviews are in use"""
    out, inp = flow.out(), flow.inp()
    extent = out.alloc(4)
    view = memoryview(extent)
    view[:] = b"good"
    for again in (view, view[1:], view.cast("i")):
        with raises(BufferError, text="in use"):
            out.send(extent)
        del again
    slice_of_it = view[1:]
    view.release()
    with raises(BufferError):
        out.send(b"part", extent)
    slice_of_it.release()
    out.send(extent)
    with raises(ValueError, text="sent"):
        memoryview(extent)[0] = 0
    with raises(ValueError, text="sent"):
        out.send(extent)
    equal(b"good", bytes(inp.receive()))


@test
def after_close(flow):
    """misuse: a port with memoryviews in use cannot be closed; what it had is released with it"""
    out, inp = flow.out(), flow.inp()
    out.send(b"data")
    record = inp.receive()
    view = memoryview(record)
    with raises(BufferError, text="in use"):
        inp.close()
    equal((b"data", False), (bytes(view), inp.closed))
    view.release()
    inp.close()
    with raises(ValueError, text="closed"):
        bytes(record)
    record.release()
    out.close()
    out = flow.out()
    extent = out.alloc(10)
    out.close()
    with raises(ValueError, text="closed"):
        memoryview(extent)
    extent.release()


@test
def forgotten_port(flow):
    """misuse: memory outlives the name of its port; forgotten memory is given back"""
    out = flow.out()
    view = memoryview(out.alloc(1000))
    del out
    gc.collect()
    view[:5] = b"alive"
    equal(b"alive", bytes(view[:5]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del view
        gc.collect()
    equal(b"", flow.inp().read())
    out = flow.out()
    for _ in range(50):
        out.alloc(MIB // 2)
    out.send(b"x")
    equal(b"x", bytes(flow.inp().receive()))


@test
def exceptions_in_blocks(flow):
    """misuse: an exception in a with block is the one that is seen, though a frame has a memoryview"""
    with raises(KeyError):
        with flow.out() as out, out.alloc(100) as extent:
            view = memoryview(extent)
            raise KeyError
    with raises(faasin.StreamAborted):
        flow.inp().read()
    equal(100, len(view))
    view.release()
    extent.release()
    out.close()


@test
def pickled(flow):
    """misuse: nothing of it can be pickled"""
    out, inp = flow.out(), flow.inp()
    out.send(b"x")
    record = inp.receive()
    for thing in (out.alloc(1), record, record.extents[0], memoryview(record), inp.records()):
        with raises(TypeError, text="pickle"):
            pickle.dumps(thing)


@test
def sent_twice_at_once(flow):
    """misuse: of threads that send, release and look at one piece of memory, one wins"""
    out, inp = flow.out(), flow.inp()
    for _ in range(60):
        extent = out.alloc(PAGE)
        start = threading.Barrier(3)
        won = []

        def attempt(call):
            start.wait()  # pylint: disable=cell-var-from-loop
            try:
                call()
                won.append(call)  # pylint: disable=cell-var-from-loop
            except (ValueError, BufferError):
                pass

        threads = [Thread(attempt, call) for call in (
            lambda: out.send(extent), lambda: out.send(extent),  # pylint: disable=cell-var-from-loop
            lambda: bytes(extent))]  # pylint: disable=cell-var-from-loop
        for thread in threads:
            thread.end()
        assert won, "nobody could"
        if not extent.released:
            out.send(extent)
        inp.receive().release()


@test
def closed_under_others(flow):
    """misuse: a port that is closed while others look at what it has, and release it"""
    for _ in range(40):
        with flow.out() as out:
            out.send(*[b"x"] * 64)
        inp = flow.inp()
        record = inp.receive()
        start = threading.Barrier(3)

        def attempt(call):
            start.wait()  # pylint: disable=cell-var-from-loop
            try:
                call()
            except (ValueError, BufferError):
                pass

        def look():
            for part in record.extents:  # pylint: disable=cell-var-from-loop
                with memoryview(part) as view:
                    equal(b"x", bytes(view))

        threads = [Thread(attempt, call) for call in (inp.close, record.release, look)]
        for thread in threads:
            thread.end()
        record.release()
        inp.close()


@test
def garbage_looks(flow):
    """misuse: what is garbage together with a port can look at its memory to the last"""
    seen = []

    class Last:
        """Reads a view when it is thrown away."""

        def __init__(self, view):
            self.view = view

        def __del__(self):
            seen.append(bytes(self.view[:4]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(20):
            out = flow.out()
            view = memoryview(out.alloc(MIB // 2))
            view[:4] = b"last"
            out.last, out.view = Last(view), view
            out.last.port = out
            del out, view
            gc.collect()
    equal([b"last"] * 20, seen)
    files = len(os.listdir("/proc/self/fd"))
    flow.out().close()
    equal(files, len(os.listdir("/proc/self/fd")))


@test
def closed_while_waiting(flow):
    """misuse: a port closed while a thread waits in it: the thread gets ValueError, memory comes back"""
    out, inp = flow.out(), flow.inp()
    waiter = Thread(inp.receive)
    until(lambda: blocked(waiter.native_id))
    inp.close()
    out.send(b"x")
    with raises(ValueError, text="closed"):
        waiter.end()
    out.close()
    out = flow.out()
    full = out.alloc(out.window_size())
    waiter = Thread(out.alloc, PAGE)
    until(lambda: blocked(waiter.native_id))
    other = flow.out()
    out.close()
    assert full.released
    with raises(ValueError, text="closed"):
        waiter.end()
    del other


# ------------------------------------------------------------------------------- leaks

@test
def leaks(flow):
    """leaks: records, parts, refusals and memoryviews leave nothing behind"""
    out, inp = flow.out(), flow.inp()

    def once():
        extent = out.alloc(5000)
        with memoryview(extent) as view:
            view[:3] = b"abc"
            for call in (extent.release, lambda: out.send(extent), lambda: out.send(b"y", extent)):
                with raises(BufferError):
                    call()
        out.send(b"x", extent, bytearray(7))
        with raises(ValueError):
            out.send(b"x", extent)
        record = inp.receive()
        equal(5008, len(bytes(record)))
        with memoryview(record.extents[1]) as view:
            with raises(BufferError):
                record.release()
        record.release()
        with raises(faasin.RecordTooLarge):
            out.alloc(2 * MIB)
        out.alloc(10)
        repr(record), repr(record.extents), record.nbytes

    references = [sys.getrefcount(out), sys.getrefcount(inp)]
    objects, files, pages = grows(once)
    assert abs(objects) < 20 and files == 0 and pages < 100, (objects, files, pages)
    equal(references, [sys.getrefcount(out), sys.getrefcount(inp)])


@test
def cycles(flow):
    """leaks: memory in cycles is collected, and given back"""
    out, inp = flow.out(), flow.inp()

    def once():
        port = flow.out()
        port.memory = memoryview(port.alloc(MIB // 2))
        port.records_of = [inp.records()]
        port.me = lambda: port
        del port
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objects, files, _ = grows(once, 40)
    assert abs(objects) < 20 and files == 0, (objects, files)
    out.send(bytes(out.window_size()))
    equal(MIB - PAGE, len(inp.receive()))


@test
def raw_address(flow):
    """windows: who keeps the raw address counts as a buffer in use, too"""
    out = flow.out()
    extent = out.alloc(16)
    raw = (ctypes.c_char * 16).from_buffer(extent)
    raw[0:3] = b"raw"
    with raises(BufferError, text="in use"):
        out.send(extent)
    del raw
    gc.collect()
    out.send(extent)
    equal(b"raw", bytes(flow.inp().receive())[:3])


@test
def exit_with_windows(flow):
    """windows: a program may end with everything in use"""
    code = ("import faasin, sys\nout = faasin.open(sys.argv[1], 'w')\nout.send(b'x')\n"
            "view = memoryview(out.alloc(100000))\nview[0] = 1\n%s")
    for last, status in (("", 0), ("sys.exit(5)", 5), ("import os; os._exit(0)", 0)):
        ends(python(code % last, flow.path("a", "faasout")), status)
        with flow.inp() as inp:
            equal([b"x"], [bytes(record) for record in inp.records()])
    ends(python(code % "1/0", flow.path("a", "faasout")), 1)
    inp = flow.inp()
    equal(b"x", bytes(inp.receive()))
    with raises(faasin.StreamAborted):
        inp.receive()


@test
def two_threads(flow):
    """windows: threads that send and receive at once: all arrives, once"""
    out, inp = flow.out(), flow.inp()

    def send(first):
        for i in range(first, 800, 4):
            extent = out.alloc(8 + i)
            extent.write(b"%07d" % i)
            out.send(extent)

    def receive():
        got = []
        while (record := inp.receive()) is not None:
            got.append(int(bytes(record)[:7]))
            record.release()
        return got

    receivers = [Thread(receive) for _ in range(3)]
    senders = [Thread(send, first) for first in range(4)]
    for sender in senders:
        sender.end()
    out.end()
    equal(list(range(800)), sorted(n for receiver in receivers for n in receiver.end()))


@test
def example(flow):
    """windows: the example passes a file"""
    program = os.path.join(ROOT, "examples/records.py")
    data = os.urandom(5 * MIB + 77)
    files = [os.memfd_create("source"), os.memfd_create("sink")]
    os.pwrite(files[0], data, 0)
    both = []
    for stage, word, number in (("a", "send", 0), ("b", "receive", 1)):
        # What is linked is the standard file already: it is replaced by the file.
        code = ("import os, sys, runpy\nos.dup2(%d, %d)\nsys.argv = ['records.py', %r]\n"
                "runpy.run_path(%r, run_name='__main__')")
        both.append(python(code % (files[number], number, word, program), stage=(flow.name, stage),
                           pass_fds=[files[number]]))
    for process in both:
        ends(process)
    equal(data, os.pread(files[1], len(data) + 1, 0))
    for file in files:
        os.close(file)


if __name__ == "__main__":
    sys.exit(main())
