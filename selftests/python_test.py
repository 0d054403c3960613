#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The Python module: ports as files. TAP on standard output; needs root and the module."""
import ast
import asyncio
import copy
import io
import os
import pickle
import select
import signal
import sys
import threading
import time
import warnings

from python_flow import (Thread, blocked, child, ends, equal, faasctl, grows, handler, kick_main, main, python, raises,
                         test, until)

if os.path.isdir("/sys/module/faasin"):
    import faasin


# ------------------------------------------------------------------------------ data

@test
def integrity(flow):
    """files: three megabytes through a link of one, by pieces of all sizes"""
    data = os.urandom(3 << 20)
    out, inp = flow.out(), flow.inp()

    def write():
        done = 0
        while done < len(data):
            done += out.write(data[done:done + 1 + done % 70001])
        out.close()

    writer = Thread(write)
    got = bytearray()
    while True:
        piece = inp.read(1 + len(got) % 50021)
        if not piece:
            break
        got += piece
    writer.end()
    equal(data, bytes(got))
    equal(b"", inp.read(10))
    equal(b"", inp.read())


@test
def read_to_the_end(flow):
    """files: read() and readall() wait for the end, readinto() fills, read1() does not wait for more"""
    out, inp = flow.out(), flow.inp()
    out.write(b"0123456789")
    equal(b"012", inp.read1(3))
    equal(b"3456789", inp.read1())
    to = bytearray(6)
    writer = Thread(lambda: (out.write(b"abc"), time.sleep(0.1), out.write(b"defg")))
    equal(6, inp.readinto(to))
    equal(b"abcdef", bytes(to))
    writer.end()
    equal(1, inp.readinto1(to))
    writer = Thread(lambda: (out.write(b"rest"), out.end()))
    equal(b"rest", inp.read())
    writer.end()
    equal(0, inp.readinto(to))
    equal(b"", inp.readall())


@test
def lines(flow):
    """files: lines, whole ones, with the last one unfinished"""
    out, inp = flow.out(), flow.inp()
    want = [b"%d %s\n" % (i, b"x" * (i * 97 % 3000)) for i in range(700)] + [b"unfinished"]

    def write():
        out.writelines(want)
        out.close()

    writer = Thread(write)
    equal(want[:2], [inp.readline(), next(inp)])
    equal(want[2][:2], inp.readline(2))
    equal(want[2][2:], inp.readline(100000))
    equal(want[3:], list(inp))
    writer.end()
    equal(b"", inp.readline())


@test
def ahead(flow):
    """files: what was read ahead for a line comes first, whichever way is read then"""
    out, inp = flow.out(), flow.inp()
    out.write(b"line\nabcdefghijkl\nmno")
    equal(b"line\n", inp.readline())
    equal(b"abc", inp.read(3))
    equal(b"defg", inp.read1(4))
    to = bytearray(2)
    equal(2, inp.readinto1(to))
    equal(b"hi", bytes(to))
    equal(b"jkl\nmno", inp.peek())
    equal(b"jkl\n", inp.readline())
    out.write(b"\n")
    equal(b"mno\n", inp.readline())
    out.end()
    equal(b"", inp.peek())


@test
def wrapped(flow):
    """files: io's wrappers take ports, and help() and isinstance() know what they are"""
    out, inp = flow.out(), flow.inp()
    assert isinstance(inp, io.BufferedIOBase) and isinstance(inp, io.IOBase)
    with io.BufferedWriter(out, 65536) as buffered:
        for i in range(1000):
            buffered.write(b"%d\n" % i)
    text = io.TextIOWrapper(inp, encoding="utf-8")
    equal([str(i) for i in range(1000)], [line.rstrip() for line in text])
    equal((True, False, False), (inp.readable(), inp.writable(), inp.seekable()))
    assert inp.isatty() is False
    for member in ("read", "readline", "write", "end", "abort", "info", "close"):
        assert len(getattr(faasin.Port, member).__doc__) > 20, member
    equal(("rb", flow.path("b", "faasin")), (inp.mode, inp.name))
    assert flow.path("b", "faasin") in repr(inp)


# ------------------------------------------------------------------------------ ends

@test
def with_block(flow):
    """ends: leaving a with block ends the stream"""
    with flow.out() as out:
        out.write(b"all")
    equal(True, out.closed)
    equal(b"all", flow.inp().read())


@test
def with_exception(flow):
    """ends: leaving it by an exception aborts it; what was written comes first"""
    with raises(KeyError):
        with flow.out() as out:
            out.write(b"half")
            raise KeyError("mistake")
    inp = flow.inp()
    equal(b"half", inp.read(4))
    with raises(faasin.StreamAborted, "ECONNABORTED", "aborted"):
        inp.read(1)
    with raises(ConnectionAbortedError, "ECONNABORTED"):
        inp.readline()
    equal(("request", True), (inp.info().cause, inp.info().aborted))


@test
def with_lazy_exception(flow):
    """ends: so it does if nothing was written, and the port not even open"""
    with raises(KeyError):
        with faasin.Port(flow.path("a", "faasout"), "w", lazy=True) as out:
            raise KeyError("mistake")
    equal(True, out.closed)
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        flow.inp().read()


@test
def abort_keeps(flow):
    """ends: reading to the end of what was aborted loses no byte of it"""
    out, inp = flow.out(), flow.inp()
    out.write(b"first\nhalf a li")
    out.abort()
    equal(b"first\n", inp.readline())
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        inp.readline()
    equal(b"half a li", inp.read(9))
    with raises(BrokenPipeError, "EPIPE"):
        out.write(b"more")


@test
def abort_reason(flow):
    """ends: abort() tells a signal or an exit status, and refuses what is neither"""
    for reason, want in ((signal.SIGTERM, ("signal", 15)), (3, ("status", 3)), (None, ("request", 0))):
        with flow.out() as out, flow.inp() as inp:
            out.abort(reason)
            with raises(faasin.StreamAborted):
                inp.read(1)
            equal(want, (inp.info().cause, inp.info().code))
    with flow.out() as out:
        for reason in (0, -1, 256, 1 << 70):
            with raises((ValueError, OverflowError)):
                out.abort(reason)
        with raises(TypeError):
            out.abort("because")
        out.write(b"still alive")
    with raises(OSError, "EBADF"):
        flow.inp().abort()


@test
def early_close(flow):
    """ends: who closes early breaks the writer's pipe; the port is named"""
    out, inp = flow.out(), flow.inp()
    out.write(b"x" * 100)
    equal(b"x", inp.read(1))
    inp.close()
    with raises(BrokenPipeError, "EPIPE"):
        out.write(b"y")
    assert out.info().reader_gone


@test
def end_early(flow):
    """ends: end() of an input is the same, and reads are empty from then on"""
    out, inp = flow.out(), flow.inp()
    out.write(b"x" * 100)
    inp.read(1)
    inp.end()
    inp.end()
    equal(b"", inp.read(1))
    with raises(BrokenPipeError, "EPIPE"):
        out.write(b"y")


@test
def information(flow):
    """streams: info() has positions, what is unread, the capacity; context is told once"""
    out, inp = flow.out(), flow.inp()
    equal(None, inp.context)
    out.context = b"00-trace"
    with raises(FileExistsError, "EEXIST"):
        out.context = b"another"
    for wrong in (b"", b"x" * 56):
        with raises(ValueError):
            out.context = wrong
    with raises(TypeError):
        out.context = "text"
    with raises(AttributeError):
        del out.context
    out.write(b"12345")
    equal(b"00-trace", inp.context)
    equal(b"12", inp.read(2))
    info = inp.info()
    equal((False, 1 << 20, 1, 3, 2, "none"),
          (info.output, info.capacity, info.stream, info.unread, info.position, info.cause))
    equal((True, 5), (out.info().output, out.info().position))


@test
def replaced(flow):
    """streams: a stage that was replaced is told so"""
    out = flow.out()
    out.write(b"x")
    os.makedirs("/sys/fs/cgroup/faasin/%s/a2" % flow.name, exist_ok=True)
    faasctl("replace", "-g", "/faasin/%s/a2" % flow.name, flow.name, "a")
    with raises(faasin.StageReplaced, "ESTALE"):
        out.write(b"y")
    assert out.info().replaced


# ------------------------------------------------------------------------- processes

UPPER = "import faasin\nfor line in faasin.input: faasin.output.write(line.upper())"


@test
def under_exec(flow):
    """programs: faasin.input and output are the ports that faasctl exec gives"""
    flow.link("b", "c")
    first = python("import faasin; faasin.output.write(b'one\\ntwo\\n')", stage=(flow.name, "a"))
    second = python(UPPER, stage=(flow.name, "b"))
    third = python("import faasin; print(faasin.input.read())", stage=(flow.name, "c"))
    ends(first)
    ends(second)
    equal("b'ONE\\nTWO\\n'\n", ends(third))


@test
def found_by_self(flow):
    """programs: without the variables, ports are found by the stage's cgroup"""
    code = ("import os\ndel os.environ['FAASIN'], os.environ['FAASOUT']\n"
            "import faasin; faasin.output.write(b'x')\n"
            "import sys; print(faasin.output.name, file=sys.stderr)")
    equal("/sys/fs/faasin/self/faasout\n", ends(python(code, stage=(flow.name, "a"))))
    equal(b"x", flow.inp().read())


@test
def named_ports(flow):
    """programs: open() finds further ports by name, beside the ones that are named"""
    faasctl("stage", "add", "--port", "log:out", flow.name, "a")
    flow.link("a:log", "l")
    ends(python("import faasin\nwith faasin.open('log', 'w') as f: f.write(b'entry')",
                stage=(flow.name, "a")))
    equal(b"entry", flow.inp("l").read())
    with raises(OSError, "EINVAL", "name"):
        faasin.open(".hidden")


@test
def uncaught(flow):
    """programs: an exception that ends a program aborts its stream"""
    ends(python("import faasin; faasin.output.write(b'half'); raise ValueError('x')",
                stage=(flow.name, "a")), 1)
    inp = flow.inp()
    equal(b"half", inp.read(4))
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        inp.read()


@test
def uncaught_before_output(flow):
    """programs: so it does before anything was written"""
    flow.link("b", "c")
    flow.out().write(b"x")
    ends(python("import faasin; faasin.input.read(1); raise ValueError('x')", stage=(flow.name, "b")), 1)
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        flow.inp("c").read()


@test
def exits(flow):
    """programs: sys.exit() leaves it to the link's rule: 1 is an end, 130 an abort"""
    code = "import faasin, sys\nwith faasin.open('faasout', 'w') as f:\n f.write(b'x')\n sys.exit(%d)"
    for status in (0, 1):
        ends(python(code % status, stage=(flow.name, "a")), status)
        equal(b"x", flow.inp().read())
    # Not under exec, which would see to it itself.
    process = python((code % 130).replace("'faasout'", repr(flow.path("a", "faasout"))))
    ends(process, 130)
    inp = flow.inp()
    equal(b"x", inp.read(1))
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        inp.read(1)
    equal(("status", 130), (inp.info().cause, inp.info().code))


@test
def killed(flow):
    """programs: one that is killed aborts its stream"""
    process = python("import sys, faasin, time\nf = faasin.open(sys.argv[1], 'w')\nf.write(b'y')\n"
                     "print(1, flush=True)\ntime.sleep(99)", flow.path("a", "faasout"))
    process.stdout.readline()
    process.kill()
    process.communicate()
    inp = flow.inp()
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        while inp.read(1):
            pass
    equal("signal", inp.info().cause)


@test
def import_alone(flow):
    """programs: importing opens nothing, and needs no stage"""
    code = ("import os; before = os.listdir('/proc/self/fd'); import faasin\n"
            "assert len(os.listdir('/proc/self/fd')) == len(before)\n"
            "print(faasin.input.opened, faasin.output.closed)")
    equal("False False\n", ends(python(code)))


# ----------------------------------------------------------------------------- errors

@test
def wrong_ports(flow):
    """errors: what cannot be opened: errno, and which port"""
    with raises(FileNotFoundError, "ENOENT"):
        faasin.open(flow.path("nobody", "faasin"))
    with raises(PermissionError, "EACCES"):
        faasin.open(flow.path("a", "faasout"), "r")
    with raises(PermissionError, "EACCES"):
        faasin.open(flow.path("b", "faasin"), "w")
    with raises(OSError, "ENOTTY", "not a port"):
        faasin.open("/dev/null")
    with raises(OSError, "ENXIO"):
        faasin.open(flow.path("a", "faasin"), blocking=False)
    with raises(ValueError, text="mode"):
        faasin.open("faasin", "a")
    with raises(TypeError):
        faasin.open(5)
    with raises(ValueError):
        faasin.open("faas\0in")
    with raises(OSError, "EINVAL", "empty"):
        faasin.open("")


@test
def wrong_use(flow):
    """errors: closed, the wrong way round, not initialized, initialized twice, pickled, copied"""
    out, inp = flow.out(), flow.inp()
    with raises(OSError, "EBADF", "output"):
        out.read()
    with raises(OSError, "EBADF"):
        inp.write(b"x")
    with raises(TypeError):
        out.write("text")
    with raises(TypeError):
        inp.readinto(b"constant")
    with raises(ValueError, text="twice"):
        out.__init__(flow.path("a", "faasout"), "w")
    empty = faasin.Port.__new__(faasin.Port)
    for call in (empty.read, empty.fileno, empty.info, empty.end):
        with raises(ValueError, text="initialized"):
            call()
    for function in (pickle.dumps, copy.copy, copy.deepcopy):
        with raises(TypeError, text="pickle"):
            function(out)
    out.close()
    out.close()
    for call in (lambda: out.write(b"x"), out.fileno, out.info, out.end, out.abort, out.__enter__,
                 out.writable, lambda: out.context, lambda: setattr(out, "blocking", False)):
        with raises(ValueError, text="closed"):
            call()
    assert "closed" in repr(out) and "closed" not in repr(inp)


@test
def unclosed(flow):
    """errors: a port that is forgotten is closed, with a ResourceWarning"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = flow.out()
        out.write(b"x")
        del out
    equal([ResourceWarning], [w.category for w in caught])
    equal(b"x", flow.inp().read())


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
    for call in (lambda: inp.read(10), inp.read, inp.readline):
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


# -------------------------------------------------------------------------------- leaks

@test
def leaks(flow):
    """leaks: using, refusing and failing leaves no references, descriptors or memory"""
    none = sys.getrefcount(None)

    def once():
        with flow.out() as out, flow.inp() as inp:
            out.write(b"line\n" * 100)
            out.context = b"x"
            inp.readline(), inp.peek(), inp.read(10), inp.readinto(bytearray(5)), inp.read1(), inp.info()
            inp.context, inp.name, inp.mode, inp.opened, repr(inp), inp.fileno()
            for call in (lambda: inp.write(b"x"), lambda: out.read(), lambda: faasin.open("/dev/null"),
                         lambda: faasin.open("faasin", "x"), lambda: out.abort(0), lambda: pickle.dumps(out)):
                with raises((OSError, ValueError, TypeError)):
                    call()
            out.abort(3)

    objects, files, pages = grows(once)
    assert abs(objects) < 20 and files == 0 and pages < 100, (objects, files, pages)
    assert abs(sys.getrefcount(None) - none) < 50, sys.getrefcount(None) - none


@test
def cycles(flow):
    """leaks: ports in cycles are collected, and closed"""
    def once():
        out = flow.out()
        out.me = out
        out.callback = lambda: out
        del out

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objects, files, _ = grows(once, 100)
    assert abs(objects) < 20 and files == 0, (objects, files)


@test
def subclassed(flow):
    """files: a class can be made of Port"""
    class Counting(faasin.Port):
        written = 0

        def write(self, data):
            self.written += len(data)
            return super().write(data)

    with Counting(flow.path("a", "faasout"), "w") as out:
        out.writelines([b"ab", b"cde"])
        equal(5, out.written)
    equal(b"abcde", flow.inp().read())


@test
def stub(flow):
    """files: what type checkers are told is what there is"""
    del flow
    with open(os.path.join(os.path.dirname(faasin.__file__), "__init__.pyi"), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    names = {}
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            names[node.target.id] = node
    equal(set(faasin.__all__) | {"__version__", "__all__"}, set(names))
    for name, node in names.items():
        if not isinstance(node, ast.ClassDef) or not node.body:
            continue
        told = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
        told |= {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
        kind = getattr(faasin, name)
        there = {n for n in vars(kind) if not n.startswith("_")}
        there -= {"n_fields", "n_sequence_fields", "n_unnamed_fields"}
        equal(set(), there - told)
        # Classes can say that they are buffers only from 3.12 on.
        # Nor is there what __init__() sets.
        if isinstance(getattr(kind, "__init__"), type(stub)):
            told -= {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
        equal(set(), {n for n in told if not hasattr(kind, n)} - {"__buffer__"})


if __name__ == "__main__":
    sys.exit(main())
