#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The Python module: functions as stages, and what is private to them. TAP on standard output.

What is kept by protection keys is attacked by raw addresses, in processes that are to die of it;
the same is tried where nothing keeps it off, and has to succeed.
"""
import ctypes
import faulthandler
import gc
import hmac
import os
import pickle
import signal
import subprocess
import sys
import threading

from python_flow import ROOT, Thread, blocked, child, ends, equal, grows, main, python, raises, test, until
from python_stages import KEYS, SECRET, Other, address, dies, needs_keys, pair, peek

if os.path.isdir("/sys/module/faasin"):
    import faasin


def upper(source, sink):
    for line in source:
        sink.write(line.upper())


# ------------------------------------------------------------------------------- streams

def runs(flow, isolation):
    flow.link("b", "c")
    with flow.out() as out:
        out.write(b"one\ntwo\n")
    made = pair(upper, isolation)
    made(flow.path("b", "faasin"), flow.path("b", "faasout"))
    equal(b"ONE\nTWO\n", flow.inp("c").read())
    return made


@test
def runs_here(flow):
    """stages: one is called, and its stream ends when it returns"""
    made = runs(flow, "none")
    equal(("upper", "none", "none", ""), (made.name, made.isolation, made.asked, made.why))


@test
def runs_with_keys(flow):
    """stages: so with isolation='keys': with keys, or reported to be a process"""
    made = runs(flow, "keys")
    equal(("keys" if KEYS else "process", "keys"), (made.isolation, made.asked))
    equal(KEYS, made.why == "")


@test
def runs_as_process(flow):
    """stages: so with isolation='process'"""
    equal("process", runs(flow, "process").isolation)


@test
def started(flow):
    """stages: two run at once, whatever their isolation"""
    flow.link("b", "c")
    for isolation in ("none", "keys", "process"):
        with flow.out() as out:
            out.write(b"x\n" * 1000)
        first = pair(upper, isolation).start(flow.path("b", "faasin"), flow.path("b", "faasout"))
        got = flow.inp("c").read()
        first.join()
        first.join()
        equal(b"X\n" * 1000, got)


@test
def decorated(flow):
    """stages: under faasctl exec, by the decorator, called or run by -m faasin"""
    flow.link("b", "c")
    source = "import faasin\n@faasin.stage\ndef up(i, o):\n  for line in i: o.write(line.upper())\n"
    path = "/tmp/python-stage-%d.py" % os.getpid()
    with open(path, "w", encoding="utf-8") as file:
        file.write(source + "\n@faasin.stage\ndef other(i, o): o.write(b'other')\n")
    for code in (source + "up()", "import sys, runpy; sys.argv[1:] = [%r]; runpy.run_module('faasin', run_name='__main__')"
                 % (path + ":up")):
        with flow.out() as out:
            out.write(b"line\n")
        ends(python(code, stage=(flow.name, "b")))
        equal(b"LINE\n", flow.inp("c").read())
    for wrong in (path, path + ":none", ""):
        done = subprocess.run([sys.executable, "-m", "faasin"] + ([wrong] if wrong else []), check=False,
                              env=dict(os.environ, PYTHONPATH=os.path.join(ROOT, "build/python")),
                              stderr=subprocess.PIPE, text=True)
        equal(2, done.returncode)
        assert "Traceback" not in done.stderr, done.stderr
    os.unlink(path)


@test
def again(flow):
    """stages: called again, one takes the next stream"""
    flow.link("b", "c")
    made = pair(upper, "none")
    for word in (b"one\n", b"two\n"):
        with flow.out() as out:
            out.write(word)
        made(flow.path("b", "faasin"), flow.path("b", "faasout"))
        equal(word.upper(), flow.inp("c").read())


def fails(flow, isolation, error, how):
    def half(_, sink):
        sink.write(b"half")
        how()

    run = pair(half, isolation).start(flow.path("a", "faasin"), flow.path("a", "faasout"))
    with raises(error) as _:
        run.join()
    inp = flow.inp()
    equal(b"half", inp.read(4))
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        inp.read()


def boom():
    raise KeyError("boom")


@test
def raising(flow):
    """failures: an exception aborts the stream, and is what join() raises"""
    fails(flow, "none", KeyError, boom)


@test
def raising_in_process(flow):
    """failures: of a process, join() raises StageError with its text and traceback"""
    def half(_, sink):
        sink.write(b"half")
        boom()

    run = pair(half, "process").start(flow.path("a", "faasin"), flow.path("a", "faasout"))
    try:
        run.join()
    except faasin.StageError as error:
        equal(("half", 1), (error.stage, error.status))
        assert "boom" in str(error) and "in boom" in error.details, error.details
    else:
        raise AssertionError("join() raised nothing")
    inp = flow.inp()
    equal(b"half", inp.read(4))
    with raises(faasin.StreamAborted, "ECONNABORTED"):
        inp.read()


@test
def raising_early(flow):
    """failures: an exception before anything is written aborts, too: nothing is no empty result"""
    for isolation in ("none", "keys", "process"):
        def fail(*_):
            boom()

        run = pair(fail, isolation).start(flow.path("a", "faasin"), flow.path("a", "faasout"))
        with raises((KeyError, faasin.StageError)):
            run.join()
        with raises(faasin.StreamAborted, "ECONNABORTED"):
            flow.inp().read()


@test
def crashing(flow):
    """failures: a process that crashes is told with its signal; this one goes on"""
    fails(flow, "process", faasin.StageError, lambda: (faulthandler.disable(), os.kill(os.getpid(), signal.SIGSEGV)))
    run = pair(lambda *_: os.kill(os.getpid(), signal.SIGKILL), "process").start()
    try:
        run.join()
    except faasin.StageError as error:
        equal(-9, error.status)
        assert "signal 9" in str(error), error


@test
def exiting(flow):
    """failures: sys.exit() with a failure: of a thread an abort, of a process by its status"""
    fails(flow, "none", SystemExit, lambda: sys.exit(1))
    fails(flow, "process", faasin.StageError, lambda: sys.exit(140))
    pair(lambda *_: sys.exit(0), "process")(flow.path("a", "faasin"), flow.path("a", "faasout"))
    equal(b"", flow.inp().read())


@test
def unlinked(flow):
    """failures: a stage whose ports are linked to nothing ends, and does not wait for a link"""
    for isolation in ("none", "process"):
        pair(lambda *_: None, isolation)(flow.path("a", "faasin"), flow.path("b", "faasout"))


@test
def timeouts(flow):
    """stages: join() can have a limit"""
    del flow
    for isolation in ("none", "process"):
        read, write = os.pipe()
        os.set_inheritable(read, True)
        run = pair(lambda *_: os.read(read, 1), isolation).start()  # pylint: disable=cell-var-from-loop
        with raises(TimeoutError, text="running"):
            run.join(0.2)
        os.write(write, b"x")
        run.join()
        os.close(read)
        os.close(write)


@test
def arguments(flow):
    """stages: what is no isolation is refused; private() outside of stages, or in 'none', too"""
    del flow
    for wrong in ("hostile", "", None):
        with raises(ValueError, text="none of"):
            faasin.stage(isolation=wrong)(upper)
    with raises(RuntimeError, text="no stage"):
        faasin.private(10)

    def inside(*_):
        with raises(RuntimeError, text="isolation"):
            faasin.private(10)

    pair(inside, "none")()


# ------------------------------------------------------------------------------- private

@test
def private_works(flow):
    """private: memory of a stage, as a buffer: read into, written, of any size"""
    def work(source, sink):
        for size in (1, 4096, 4097, 1000000):
            with faasin.private(size) as memory, memoryview(memory) as view:
                equal(bytes(size), bytes(view))
                equal(size, len(memory))
        memory = faasin.private(100)
        with memoryview(memory) as view:
            got = source.readinto(view[:6])
            sink.write(view[:got])
        for wrong in (0, -1):
            with raises(ValueError):
                faasin.private(wrong)
        for wrong in (sys.maxsize, 1 << 60):
            with raises(MemoryError):
                faasin.private(wrong)
        with raises(TypeError):
            faasin.private("1")
        with raises(TypeError, text="pickle"):
            pickle.dumps(memory)
        view = memoryview(memory)
        with raises(BufferError, text="in use"):
            memory.release()
        view.release()
        memory.release()
        memory.release()
        assert memory.released
        with raises(ValueError, text="released"):
            memoryview(memory)

    flow.link("b", "c")
    for isolation in ("keys", "process"):
        with flow.out() as out:
            out.write(b"secret")
        pair(work, isolation)(flow.path("b", "faasin"), flow.path("b", "faasout"))
        equal(b"secret", flow.inp("c").read())


@test
def private_ends(flow):
    """private: it is gone when the stage ends, memoryviews of it included"""
    del flow
    kept = []

    def work(*_):
        memory = faasin.private(100)
        kept.extend((memory, memoryview(memory), memoryview(memory)[1:].cast("b")))
        kept[1][:] = bytes(100)

    made = pair(work)
    if made.isolation == "process":
        made()
        equal([], kept)
        return
    made()
    for call in (lambda: memoryview(kept[0]), lambda: bytes(kept[1]), lambda: kept[2][0],
                 lambda: kept[1].__setitem__(0, 1)):
        with raises(ValueError):
            call()
    assert kept[0].released


@test
def private_in_use(flow):
    """private: what a call of a thread that was left behind is using stays until it is done"""
    del flow
    read, write = os.pipe()
    left, kept = [], []

    def work(*_):
        memory = faasin.private(100)
        view = memoryview(memory)
        kept.append(view)
        left.append(Thread(os.readv, read, [view]))
        until(lambda: blocked(left[0].native_id, "pipe_read"))

    made = pair(work)
    if made.isolation == "keys":
        made()
        os.write(write, b"late")
        equal(4, left[0].end())
    os.close(read)
    os.close(write)


@needs_keys
def refuses_objects(flow):
    """private: by its object, another stage and code outside get PermissionError"""
    del flow
    def attempt(other):
        for call in (lambda: memoryview(other.memory), lambda: bytes(other.memory),
                     lambda: os.write(1, other.memory)):
            with raises(PermissionError, text="another stage"):
                call()
        return 1

    for isolation in ("keys", "none", None):
        equal(1, Other(attempt, isolation).run())


@needs_keys
def stops_addresses(flow):
    """private: by its raw address, another stage faults; so does one without keys, and code outside"""
    del flow
    for isolation in ("keys", "none", None):
        dies(lambda other: peek(other.at), isolation)


@needs_keys
def stops_writes(flow):
    """private: writing by the raw address faults, too"""
    del flow
    dies(lambda other: ctypes.memset(other.at, 1, 1))


@needs_keys
def stops_views(flow):
    """private: a memoryview that the owner gave away faults elsewhere: the owner's to avoid"""
    del flow
    dies(lambda other: bytes(other.view))


@needs_keys
def control(flow):
    """private: the same succeeds with the owner's key open: it is the key that stops it"""
    del flow

    def attempt(other):
        was = other.owner._arena.enter()
        try:
            return peek(other.at)
        finally:
            other.owner._arena.leave(was)

    for isolation in ("keys", "none", None):
        equal(SECRET, Other(attempt, isolation).run())


@needs_keys
def stops_system_calls(flow):
    """private: system calls of others fail with EFAULT"""
    del flow

    def attempt(other):
        read, write = os.pipe()
        libc = ctypes.CDLL(None, use_errno=True)
        sent = libc.write(write, ctypes.c_void_p(other.at), len(SECRET))
        code = ctypes.get_errno()
        os.close(read)
        os.close(write)
        return sent, code

    equal((-1, 14), Other(attempt).run())


@needs_keys
def what_is_not(flow):
    """private: what keys do not stop, as is documented: /proc/self/mem, and copies"""
    del flow

    def attempt(other):
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(other.at)
            return memory.read(len(SECRET))

    equal(SECRET, Other(attempt).run())
    copies = []

    def work(*_):
        memory = faasin.private(len(SECRET))
        memoryview(memory)[:] = SECRET
        copies.append(bytes(memory))

    pair(work)()
    equal([SECRET], copies)


@needs_keys
def collected(flow):
    """private: another stage's collector walks over it, and frees what is garbage"""
    del flow

    def attempt(_):
        for _ in range(20):
            gc.collect()
        return gc.get_objects() and 1

    def own(self, *_):
        loop = []
        loop.append((loop, faasin.private(100), memoryview(faasin.private(100))))
        del loop
        Other.own(self)

    other = Other(attempt)
    other.owner = pair(lambda *_: own(other))
    equal(1, other.run())


@needs_keys
def nested(flow):
    """private: a stage called inside another does not see the outer one's, which does afterwards"""
    del flow
    seen = []

    def inner(_, __):
        with raises(PermissionError):
            bytes(seen[0])
        seen.append(bytes(faasin.private(3)))

    inside = pair(inner)

    def outer(*_):
        seen.append(faasin.private(5))
        inside()
        equal(bytes(5), bytes(seen[0]))

    pair(outer)()
    equal(bytes(3), seen[1])


@needs_keys
def threads_of_stages(flow):
    """private: a thread that a stage starts can see it; one that was there before cannot"""
    del flow
    go, results = [threading.Event(), threading.Event()], []
    memory = []

    def look():
        go[0].wait(60)
        try:
            results.append(bytes(memory[0]))
        except PermissionError:
            results.append(None)
        go[1].set()

    before = Thread(look)

    def work(*_):
        memory.append(faasin.private(4))
        go[0].set()
        go[1].wait(60)
        Thread(look).end()

    pair(work)()
    before.end()
    equal([None, bytes(4)], results)


@needs_keys
def forked(flow):
    """private: a child of fork() has zeroes there, and ValueError"""
    del flow

    def work(*_):
        memory = faasin.private(len(SECRET))
        view = memoryview(memory)
        view[:] = SECRET
        at = address(memory)
        gc.collect()

        def look():
            equal(bytes(len(SECRET)), peek(at))
            for call in (lambda: bytes(view), lambda: memoryview(memory)):
                with raises(ValueError):
                    call()

        equal(0, child(look))
        equal(SECRET, bytes(view))

    pair(work)()


@needs_keys
def process_beside(flow):
    """private: a stage as a process sees nothing of those with keys"""
    del flow

    def attempt(other):
        with raises(ValueError):
            bytes(other.memory)
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(other.at)
            equal(bytes(len(SECRET)), memory.read(len(SECRET)))

    Other(attempt, "process").run()


@needs_keys
def out_of_keys(flow):
    """private: when all keys are taken the next stages are processes, and say why"""
    del flow

    def run():
        made = [faasin.stage(isolation="keys")(upper) for _ in range(20)]
        equal(["process", "keys"], sorted({s.isolation for s in made}, reverse=True))
        assert made[0].isolation == "keys" and made[-1].isolation == "process"
        assert "No space" in made[-1].why, made[-1].why

    equal(0, child(run))


@test
def processes_apart(flow):
    """private: what a process changes or has is not here; what is here before it is a copy"""
    del flow
    here = []

    def work(*_):
        here.append(1)
        memory = faasin.private(10)
        equal("process", memory.protection)
        memoryview(memory)[:] = b"0123456789"

        def look():
            with raises(ValueError):
                bytes(memory)
        equal(0, child(look))

    pair(work, "process")()
    equal([], here)


@test
def descriptors_apart(flow):
    """private: a process has none of the ports that were open here: streams end without it"""
    flow.link("c", "d")
    mine = flow.out("c")
    mine.write(b"all")
    read, write = os.pipe()
    run = pair(lambda *_: os.read(read, 1), "process").start(flow.path("a", "faasin"), flow.path("a", "faasout"))
    mine.close()
    equal(b"all", flow.inp("d").read())
    os.write(write, b"x")
    run.join()
    os.close(read)
    os.close(write)


@test
def example(flow):
    """stages: the example signs lines"""
    flow.link("b", "c")
    key = os.memfd_create("key")
    os.pwrite(key, b"key", 0)
    with flow.out() as out:
        out.write(b"line\n")
    code = ("import sys, runpy\nsys.argv = ['stage.py', '/proc/self/fd/%d']\nrunpy.run_path(%r, run_name='__main__')"
            % (key, os.path.join(ROOT, "examples/stage.py")))
    ends(python(code, stage=(flow.name, "b"), pass_fds=[key]))
    want = hmac.digest(b"key", b"line\n", "sha256").hex().encode() + b" line\n"
    equal(want, flow.inp("c").read())
    os.close(key)


@test
def leaks(flow):
    """leaks: stages and private memory leave nothing behind"""
    del flow

    def work(*_):
        memory = faasin.private(5000)
        view = memoryview(memory)
        view[0] = 1
        if len(view) > 1:
            faasin.private(10).release()

    made = [pair(work), pair(lambda *_: None, "none")]

    def once():
        for each in made:
            each()

    rounds = 200 if KEYS else 20
    objects, files, pages = grows(once, rounds)
    assert abs(objects) < 20 and files == 0 and pages < 200, (objects, files, pages)


if __name__ == "__main__":
    sys.exit(main())
