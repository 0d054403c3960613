#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The Python module: ports as files. TAP on standard output; needs root and the module."""
import ast
import copy
import io
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings

from python_flow import (MODULE, Thread, ends, equal, faasctl, grows, main, python, raises, test)

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
    for call in (inp.readline, inp.read, lambda: inp.readinto(bytearray(20))):
        with raises(faasin.StreamAborted, "ECONNABORTED"):
            call()
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
def under_run(flow):
    """programs: faasctl run has them beside other commands"""
    code = "import faasin\nfor line in faasin.input: faasin.output.write(line.upper())"
    done = subprocess.run(["faasctl", "run", flow.name + "-run",
                           'printf "one\\ntwo\\n" | "%s" -c "$CODE" | cat' % sys.executable],
                          env=dict(os.environ, PYTHONPATH=MODULE, CODE=code), check=False, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal((0, b"ONE\nTWO\n", b""), (done.returncode, done.stdout, done.stderr))


@test
def import_refused(flow):
    """programs: a second import of what is in C, and one in a sub-interpreter, are refused"""
    del flow
    code = ("import sys, faasin\nfor name in [n for n in sys.modules if n.startswith('faasin')]: del sys.modules[name]\n"
            "try:\n  import faasin\nexcept ImportError as e: print(e)")
    equal("faasin cannot be loaded twice in a process\n", ends(python(code)))
    code = ("import _xxsubinterpreters as s\n"
            "try:\n  s.run_string(s.create(), 'import faasin')\nexcept s.RunFailedError as e: print(e)")
    assert "main interpreter only" in ends(python(code))


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


# ------------------------------------------------------------------------------- leaks

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
