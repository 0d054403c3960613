#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The Python module: secrets, objects whose content is a stage's own. TAP on standard output.

As with private memory, what keys keep off is attacked by raw addresses, and the same is tried on ordinary
objects, where it has to succeed. What is made in a secret piece by piece is nowhere else: other
processes then look through all memory of this one for copies.
"""
import collections
import copy
import ctypes
import gc
import hashlib
import hmac
import io
import itertools
import json
import mmap
import operator
import os
import pickle
import random
import resource
import signal
import sys
import traceback

from python_flow import Thread, blocked, child, ends, equal, grows, handler, main, python, raises, test, until
from python_stages import KEYS, SECRET, Other, address, dies, needs_keys, pair, peek

if os.path.isdir("/sys/module/faasin"):
    import faasin

BOTH = ("keys", "process")
MADV_DODUMP = 17
MAP_NORESERVE = 0x4000


def content(secret):
    with secret.reveal() as view:
        return bytes(view)


def memories():
    """Private memory of the stage that runs."""
    return faasin._stage._thread.run._private


class Secret(Other):
    """A stage that has a secret, and another one that wants it."""

    def make(self):
        self.memory = faasin.secret(bytearray(SECRET))
        self.view = self.memory.reveal()


# ----------------------------------------------------- content that is nowhere else

LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"
WHOLE, PIECE = 64, slice(16, 32)


def letter(seed, i):
    return LETTERS[hashlib.sha256(b"%d %d" % (seed, i)).digest()[0] % len(LETTERS)]


def hidden(seed):
    """A secret with content that only letter() tells, one at a time."""
    secret = faasin.secret(bytearray(WHOLE))
    with secret.reveal() as view:
        for i in range(WHOLE):
            view[i] = letter(seed, i)
    return secret


def needles(seed):
    """What to look for: a piece of it, as bytes and as wider text. For who is not looked through."""
    piece = bytes(letter(seed, i) for i in range(WHOLE))[PIECE]
    return piece, piece.decode().encode("utf-16-le"), piece.decode().encode("utf-32-le")


def find(seed, pid, apart=()):
    """Where in a process's memory there is some of it, but for (address, size) of what is set apart."""
    found = []
    wanted = needles(seed)
    with open("/proc/%d/maps" % pid, encoding="ascii") as maps, open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            span, mode, _, _, _, *path = line.split()
            begin, end = (int(n, 16) for n in span.split("-"))
            if "w" not in mode or path and path[0] in ("[vvar]", "[vsyscall]"):
                continue
            try:
                memory.seek(begin)
                got = memory.read(end - begin)
            except OSError:
                continue
            # What is longer than a read can be is none of these tests'.
            assert len(got) == min(end - begin, 0x7ffff000), line
            for piece in wanted:
                at = got.find(piece)
                while at >= 0:
                    if not any(a <= begin + at < a + size for a, size in apart):
                        found.append(hex(begin + at))
                    at = got.find(piece, at + 1)
    return found


def seen(seed, apart):
    """The same of this process, by a child."""
    read, write = os.pipe()
    pid = os.getpid()
    equal(0, child(lambda: os.write(write, b"%d" % len(find(seed, pid, apart))) and 0))
    count = int(os.read(read, 100))
    os.close(read)
    os.close(write)
    return count


# ------------------------------------------------------------------------ what it is

@test
def kinds(flow):
    """secrets: of bytes, of text, and such that can be changed; read and written without copies"""
    def work(source, sink):
        secret = faasin.secret(b"bytes")
        equal((faasin.SecretBytes, 5, 5, b"bytes"), (type(secret), len(secret), secret.nbytes, content(secret)))
        with secret.reveal() as view, raises(TypeError):
            view[0] = 1
        for text in ("", "text", "\u00e9\u20ac\U0001f600\0x", "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"):
            secret = faasin.secret(text)
            equal((faasin.SecretStr, len(text), text.encode()), (type(secret), len(secret), content(secret)))
            equal(len(text.encode()), secret.nbytes)
        for empty in (faasin.secret(b""), faasin.secret(memoryview(b"")), faasin.secret(bytearray())):
            equal((0, b""), (len(empty), content(empty)))
            assert not empty
        changed = faasin.secret(bytearray(6))
        assert isinstance(changed, faasin.SecretBuffer) and isinstance(changed, faasin.Secret)
        with changed.reveal() as view:
            equal(6, source.readinto(view))
            sink.write(view)
        assert changed.protection == memories()[0].protection and not changed.released
        with faasin.secret(b"with") as secret:
            pass
        assert secret.released
        for call in (secret.reveal, lambda: secret + b"", lambda: secret == b"with", secret.decode):
            with raises(ValueError, text="released"):
                call()
        secret.release()
        view = changed.reveal()
        with raises(BufferError, text="in use"):
            changed.release()
        with raises(KeyError):
            with changed:
                raise KeyError
        assert not changed.released
        view.release()
        changed.release()

    flow.link("b", "c")
    for isolation in BOTH:
        with flow.out() as out:
            out.write(b"secret")
        pair(work, isolation)(flow.path("b", "faasin"), flow.path("b", "faasout"))
        equal(b"secret", flow.inp("c").read())


@test
def operations(flow):
    """secrets: compared, joined, cut, encoded and decoded, which gives secrets"""
    del flow

    def work(*_):
        secret, text = faasin.secret(b"hello"), faasin.secret("h\u00e9llo\u20ac\U0001f600")
        plain = "h\u00e9llo\u20ac\U0001f600"
        for same in (b"hello", bytearray(b"hello"), memoryview(b"hello"), faasin.secret(b"hello"),
                     faasin.secret(bytearray(b"hello")), secret):
            assert secret == same and same == secret and not secret != same
        for other in (b"hellO", b"Hello", b"hell", b"hello!", b"", "hello", faasin.secret("hello"), 5, None):
            assert secret != other and other != secret and not secret == other
        assert text == plain and plain == text and text == faasin.secret(plain)
        assert text != plain[1:] and text != plain[:-1] + "x" and text != plain.encode()
        for want, got in ((b"hello world", secret + b" world"), (b"why hello", b"why " + secret), (b"hello", secret + b""),
                          (b"hellohello", secret + secret), (b"ell", secret[1:4]), (b"", secret[4:2]), (b"lo", secret[-2:]),
                          (plain + "\u20ac", text + "\u20ac"), ("x" + plain, "x" + text), (plain + plain, text + text),
                          (plain.encode(), text.encode()), ("hello", secret.decode())):
            assert got == want and isinstance(got, faasin.Secret) and got.protection == secret.protection, want
            equal(len(want), len(got))
        for begin in range(-9, 10):
            for end in range(-9, 10):
                assert text[begin:end] == plain[begin:end]
        equal(faasin.SecretBuffer, type(faasin.secret(bytearray(b"1")) + secret))
        added = secret
        added += b"!"
        assert added == b"hello!" and secret == b"hello"
        for wrong in (b"\x80", b"\xc1\x81", b"\xc3", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"a\xffb"):
            with raises(ValueError, text="not UTF-8"):
                faasin.secret(wrong).decode()
        for right in ("\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"):
            assert faasin.secret(right.encode()).decode() == right
        # What computes takes the view.
        with secret.reveal() as key:
            equal(hmac.digest(b"hello", b"text", "sha256"), hmac.digest(key, b"text", "sha256"))

    for isolation in BOTH:
        pair(work, isolation)()


REFUSED = {
    "bytes": (TypeError, bytes),
    "bytearray": (TypeError, bytearray),
    "memoryview": (TypeError, memoryview),
    "hash": (TypeError, hash),
    "set": (TypeError, lambda s: {s}),
    "iter": (TypeError, list),
    "item": (TypeError, lambda s: s[0]),
    "step": (ValueError, lambda s: s[::2]),
    "in": (TypeError, lambda s: "a" in s),
    "order": (TypeError, lambda s: s < s),
    "join": (TypeError, lambda s: b"".join([s])),
    "percent": (TypeError, lambda s: b"%b" % s),
    "int": (TypeError, int),
    "pickle": (TypeError, pickle.dumps),
    "copy": (TypeError, copy.copy),
    "deepcopy": (TypeError, lambda s: copy.deepcopy([s])),
    "json": (TypeError, json.dumps),
    "format": (TypeError, lambda s: format(s, "10")),
    "write": (TypeError, lambda s: os.write(2, s)),
    "file": (TypeError, lambda s: io.BytesIO().write(s)),
    "digest": (TypeError, hashlib.sha256),
    "compare_digest": (TypeError, lambda s: hmac.compare_digest(s, b"x")),
    "mixed": (TypeError, lambda s: s + (b"x" if isinstance(s, faasin.SecretStr) else "x")),
    "number": (TypeError, lambda s: s + 1),
    "again": (TypeError, faasin.secret) if os.path.isdir("/sys/module/faasin") else None,
}


def hides(text):
    assert SECRET.decode()[-11:] not in text, "the content is shown: " + text


@test
def refused(flow):
    """secrets: what would copy the content is refused, and printing shows none of it"""
    del flow

    def work(*_):
        for secret in (faasin.secret(SECRET), faasin.secret(SECRET.decode()), faasin.secret(bytearray(SECRET)),
                       faasin.secret(b"\xff" + SECRET)):
            for text in (str(secret), repr(secret), "%s %r" % (secret, secret), f"{secret} {secret!a}", repr([secret])):
                hides(text)
            for name, (kind, call) in REFUSED.items():
                try:
                    call(secret)
                except kind:
                    hides(traceback.format_exc())
                    hides("".join(traceback.TracebackException(*sys.exc_info(), capture_locals=True).format()))
                else:
                    raise AssertionError("%s did not fail" % name)
            try:
                secret.decode()
            except (ValueError, AttributeError):
                hides("".join(traceback.TracebackException(*sys.exc_info(), capture_locals=True).format()))
        for wrong in (5, None, [1], object()):
            with raises(TypeError, text="made of"):
                faasin.secret(wrong)
        with raises(ValueError, text="surrogates"):
            faasin.secret("\udc80")
        with raises(BufferError):
            faasin.secret(memoryview(b"123456")[::2])
        for call in (faasin.SecretBytes, lambda: type("Mine", (faasin.Secret,), {})(), lambda: setattr(faasin.SecretStr, "x", 1)):
            with raises(TypeError):
                call()

    for isolation in BOTH:
        pair(work, isolation)()
    with raises(RuntimeError, text="no stage"):
        faasin.secret(b"x")

    def inside(*_):
        with raises(RuntimeError, text="isolation"):
            faasin.secret(b"x")

    pair(inside, "none")()


@test
def reveals(flow):
    """secrets: what the collector runs while reveal() makes its view is given no buffer"""
    del flow

    def work(*_):
        secret = faasin.secret(SECRET)
        refusals = []

        def collects(*_):
            with raises(TypeError):
                bytes(secret)
            refusals.append("refused")

        before = gc.get_threshold()
        unraisable, sys.unraisablehook = sys.unraisablehook, lambda what: refusals.append(what.exc_value)
        gc.callbacks.append(collects)
        gc.set_threshold(1)
        try:
            views = [secret.reveal() for _ in range(100)]
        finally:
            gc.callbacks.remove(collects)
            gc.set_threshold(*before)
            sys.unraisablehook = unraisable
        equal(100, len(views))
        assert refusals and not any(isinstance(each, Exception) for each in refusals), refusals
        assert gc.isenabled()

    for isolation in BOTH:
        pair(work, isolation)()


@test
def no_copies_read(flow):
    """secrets: what is read into one leaves no copy in the process: from a pipe, a file without a buffer, a port, and one that fails"""
    def writes(seed, to):
        # A process has copies of what is left in this one: it is made there.
        equal(0, child(lambda: to(bytes(letter(seed, i) for i in range(WHOLE))) and 0))

    def sends(abort):
        def to(data):
            out = flow.out()
            out.write(data)
            if abort:
                out.abort()
            out.close()
        return to

    def by_pipe(seed, view, *_):
        read, write = os.pipe()
        writes(seed, lambda data: os.write(write, data))
        equal(WHOLE, os.readv(read, [view]))
        os.close(read)
        os.close(write)

    def by_file(seed, view, *_):
        read, write = os.pipe()
        writes(seed, lambda data: os.write(write, data))
        os.close(write)
        with open(read, "rb", buffering=0) as file:
            equal(WHOLE, file.readinto(view))

    def by_port(seed, view, source):
        writes(seed, sends(False))
        equal(WHOLE, source.readinto(view))

    def by_failing_port(seed, view, source):
        writes(seed, sends(True))
        with raises(faasin.StreamAborted):
            source.readinto(view)

    def work(seed, how, source):
        secret = faasin.secret(bytearray(WHOLE + (how is by_failing_port)))
        with secret.reveal() as view:
            how(seed, view, source)
        apart = [(address(memory), len(memory)) for memory in memories()]
        equal((how.__name__, 0), (how.__name__, seen(seed, apart)))
        assert seen(seed, ()) > 0, "it was not read"

    for n, isolation in enumerate(BOTH):
        for m, how in enumerate((by_pipe, by_file, by_port, by_failing_port)):
            pair(lambda source, _, seed=40 + 4 * n + m, how=how: work(seed, how, source), isolation)(
                flow.path("b", "faasin"), flow.path("b", "faasout"))


@test
def no_copies(flow):
    """secrets: what is done with one leaves no copy in the process, nor does what is refused; what reveal() gives does"""
    del flow
    def use(secret):
        text = secret.decode()
        return (secret == b"x" * WHOLE, secret == secret, text == "x" * WHOLE, secret + b"x", b"x" + secret, secret + secret,
                secret[9:40], text + "\u20ac", "\u20ac" + text, text[9:40], text.encode())

    def show(secret):
        return repr(secret), str(secret.decode()), secret.reveal().release(), faasin.secret(secret.reveal())

    def refuse(secret):
        for each in (secret, secret.decode()):
            for kind, call in REFUSED.values():
                with raises(kind):
                    call(each)

    def work(seed):
        secret, kept = hidden(seed), []
        for call in (use, show, refuse):
            kept.append(call(secret))
            apart = [(address(memory), len(memory)) for memory in memories()]
            equal((call.__name__, 0), (call.__name__, seen(seed, apart)))
        assert seen(seed, ()) > 0, "the search does not find what is there"
        with secret.reveal() as view:
            kept.append(bytes(view))
        assert seen(seed, apart) > 0, "a copy was not found"

    # A process has copies of what is left in this one.
    for seed, isolation in enumerate(BOTH):
        pair(lambda *_, seed=seed: work(seed), isolation)()


# ------------------------------------------------------------------- from another stage

@needs_keys
def refuses_others(flow):
    """secrets: another stage, and code outside of all, get PermissionError; length and text are everybody's"""
    del flow

    def attempt(other):
        secret = other.memory
        mine = faasin.secret(b"mine") if other.isolation == "keys" else None
        calls = [secret.reveal, lambda: secret == SECRET, lambda: SECRET == secret, lambda: secret != b"", lambda: secret + b"x",
                 lambda: b"x" + secret, lambda: secret[1:2], secret.decode, lambda: secret in [b"x"]]
        if mine:
            calls += [lambda: mine == secret, lambda: secret == mine, lambda: mine + secret, lambda: secret + mine]
        for call in calls:
            with raises(PermissionError, text="another stage"):
                call()
        for call in (lambda: bytes(secret), lambda: os.write(1, secret)):
            with raises(TypeError):
                call()
        equal((len(SECRET), "<faasin.SecretBuffer of %d bytes>" % len(SECRET)), (len(secret), repr(secret)))
        return 1

    for isolation in ("keys", "none", None):
        equal(1, Secret(attempt, isolation).run())


@needs_keys
def stops_addresses(flow):
    """secrets: by the raw address another stage faults, reading or writing; so do stages without keys, and code outside"""
    del flow
    for isolation in ("keys", "none", None):
        dies(lambda other: peek(other.at), isolation, Secret)
    dies(lambda other: ctypes.memset(other.at, 1, 1), kind=Secret)
    dies(lambda other: bytes(other.view), kind=Secret)


class Plain(Other):
    """The same with ordinary bytes: their content is behind their header."""

    def make(self):
        self.memory = bytes(bytearray(SECRET))
        self.view = memoryview(self.memory)


@needs_keys
def control(flow):
    """secrets: the same attack on ordinary bytes succeeds; on a secret, too, with the owner's key"""
    del flow
    equal(SECRET, Plain(lambda other: ctypes.string_at(id(other.memory) + bytes.__basicsize__ - 1, len(SECRET))).run())

    def attempt(other):
        was = other.owner._arena.enter()
        try:
            return peek(other.at)
        finally:
            other.owner._arena.leave(was)

    for isolation in ("keys", "none", None):
        equal(SECRET, Secret(attempt, isolation).run())


@needs_keys
def nested_none(flow):
    """secrets: a stage without keys that is called, or started, inside one with keys sees what that has"""
    del flow
    found = []

    def work(*_):
        secret = faasin.secret(SECRET)

        def inner(*_):
            found.append(secret == SECRET)

        pair(inner, "none")()
        pair(inner, "none").start().join()

    pair(work)()
    equal([True, True], found)


@needs_keys
def headers(flow):
    """secrets: the object itself can be looked at by all, and has none of the content"""
    del flow

    def attempt(other):
        return ctypes.string_at(id(other.memory), sys.getsizeof(other.memory))

    seen_there = Secret(attempt).run()
    assert not any(SECRET[i:i + 4] in seen_there for i in range(len(SECRET) - 3))
    assert SECRET in Plain(attempt).run(), "the search does not find what is there"


@needs_keys
def stops_system_calls(flow):
    """secrets: system calls of others fail with EFAULT"""
    del flow

    def attempt(other):
        read, write = os.pipe()
        libc = ctypes.CDLL(None, use_errno=True)
        sent = libc.write(write, ctypes.c_void_p(other.at), len(SECRET)), ctypes.get_errno()
        os.close(read)
        os.close(write)
        return sent

    equal((-1, 14), Secret(attempt).run())


class Dropped(Secret):
    """One whose last reference the other stage is to drop, and a second one that stays."""

    def make(self):
        super().make()
        self.view.release()
        self.view = self.memory.reveal()
        self.stays = faasin.secret(bytearray(SECRET))
        self.stays_at = address(self.stays.reveal())

    def own(self, *_):
        self.stays = self.stays_at = None
        super().own()

    def after(self):
        equal((bytes(len(SECRET)), SECRET), (peek(self.at), peek(self.stays_at)))


@needs_keys
def dropped_elsewhere(flow):
    """secrets: the last reference dropped in another stage, by release(), or by its collector: zeroed, and its key stays closed"""
    del flow

    def drop(other):
        other.view = other.memory = None
        return 1

    def release(other):
        # The memoryview is the owner's, and released there or here.
        other.view.release()
        other.memory.release()
        return 1

    def collect(other):
        loop = [other.memory, other.view]
        loop.append(loop)
        other.view = other.memory = None
        del loop
        gc.collect()
        return 1

    for how in (drop, release, collect):
        for isolation in ("keys", "none", None):
            equal(1, Dropped(how, isolation).run())
        dies(lambda other, how=how: (how(other), peek(other.stays_at)), kind=Dropped)


@test
def zeroed(flow):
    """secrets: what is released is zeroed before others get the memory"""
    del flow

    def work(*_):
        for kind in (bytes, bytearray):
            secret, beside = faasin.secret(kind(SECRET)), faasin.secret(b"beside")
            at = address(secret.reveal())
            equal(SECRET, peek(at))
            secret.release()
            equal(bytes(len(SECRET)), peek(at))
            secret = faasin.secret(kind(SECRET))
            at = address(secret.reveal())
            del secret
            equal(bytes(len(SECRET)), peek(at))
            assert beside == b"beside"

    for isolation in BOTH:
        pair(work, isolation)()


# ------------------------------------------------------------------------------- ends

@test
def ended(flow):
    """secrets: when the stage ends they are gone, memoryviews included; what is left can be dropped, by anybody"""
    del flow
    kept = []

    def work(*_):
        secret = faasin.secret(SECRET)
        kept.extend((secret, secret.reveal(), secret.reveal()[1:].cast("b"), faasin.secret("text"), address(secret.reveal())))

    made = pair(work)
    made()
    if made.isolation == "process":
        equal([], kept)
        return
    secret, view, piece, text, at = kept
    for call in (secret.reveal, lambda: secret == SECRET, lambda: secret + b"x", lambda: secret[1:2], secret.decode,
                 lambda: text + "x", text.encode, lambda: bytes(view), lambda: piece[0], lambda: view[0]):
        with raises(ValueError):
            call()
    equal((True, len(SECRET)), (secret.released, len(secret)))
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        memory.seek(at)
        try:
            found = memory.read(len(SECRET))
        except OSError:
            found = b""
    assert found != SECRET, "it is still there"
    secret.release()
    del kept[:], secret, view, piece, text
    gc.collect()


@test
def ended_in_use(flow):
    """secrets: at the end what a call of a thread that was left behind is using stays until that is done; all else is zeroed, views or not"""
    del flow
    read, write = os.pipe()
    left, kept = [], []

    def work(*_):
        buffer, secret = faasin.secret(bytearray(100)), faasin.secret(SECRET)
        with secret.reveal() as view:
            kept.extend((secret, address(view)))
        other = faasin.secret(SECRET)
        idle = other.reveal()
        # Dropped, it would be zeroed for that.
        kept.extend((idle, address(idle), other))
        view = buffer.reveal()
        left.append(Thread(os.readv, read, [view]))
        until(lambda: blocked(left[0].native_id, "pipe_read"))
        equal([SECRET] * 2, [peek(at) for at in kept[1::2]])

    made = pair(work)
    if made.isolation == "keys":
        made()
        was = made._arena.enter()
        equal([bytes(len(SECRET))] * 2, [peek(at) for at in kept[1::2]])
        made._arena.leave(was)
        with raises(ValueError):
            kept[0].reveal()
        with raises(ValueError):
            bytes(kept[2])
        os.write(write, b"late")
        equal(4, left[0].end())
    os.close(read)
    os.close(write)


@test
def ended_meanwhile(flow):
    """secrets: one that is being made while its stage ends, with memory that the end does not know of, is not made"""
    del flow
    memories = []
    pool = pair(lambda *_: None, "process")._make_pool(None, memories)

    def end(frame, event, _):
        if frame.f_code.co_name == "_new_arena" and event == "call":
            pool.ended = True

    sys.settrace(end)
    try:
        with raises(ValueError, text="over"):
            pool.take(10)
    finally:
        sys.settrace(None)
    equal(1, len(memories))


@test
def ended_handler(flow):
    """secrets: a handler of signals that runs while a stage ends gets no memory of that stage"""
    del flow
    made = {}

    def at_end(frame, event, _):
        if frame.f_code.co_name != "_inside":
            return None
        if event == "line" and frame.f_locals["self"]._pool.ended:
            try:
                made["private"], made["secret"] = faasin.private(10), faasin.secret(b"late")
            except RuntimeError:
                made["refused"] = True
        return at_end

    def work(*_):
        faasin.secret(b"x")

    stage = pair(work)
    if stage.isolation == "keys":
        sys.settrace(at_end)
        try:
            stage()
        finally:
            sys.settrace(None)
        equal({"refused": True}, made)


@test
def imports_nothing(flow):
    """secrets: a stage imports nothing for them: who forks beside it would wait for that for ever"""
    del flow
    program = """
import faasin, sys
class Importer:
    def find_spec(self, name, *_): raise AssertionError("imported: " + name)
def work(*_):
    secret = faasin.secret("text") + "more"
    assert secret[:4].encode() == b"text"
    secret.release()
for isolation in ("keys", "process"):
    stage = faasin.stage(isolation=isolation)(work)
    sys.meta_path.insert(0, Importer())
    stage()
    del sys.meta_path[0]
print("end")
"""
    equal("end\n", ends(python(program)))


@test
def exits(flow):
    """secrets: an interpreter that exits with some alive, of stages that ended and of one that runs, does so without a word"""
    del flow
    program = """
import faasin, threading, sys
kept, ready = [], threading.Event()
class Holder:
    def __del__(self): self.secret = None
def work(*_):
    holder = Holder()
    holder.secret = faasin.secret(b"x" * 100)
    kept.extend((faasin.secret("text"), faasin.secret(bytearray(9)).reveal(), holder))
@faasin.stage(isolation="keys")
def ends(*_): work()
@faasin.stage(isolation="keys")
def stays(*_):
    work()
    ready.set()
    threading.Event().wait()
ends()
if stays.isolation == "keys":
    run = faasin.Run(stays, None, None)
    threading.Thread(target=run._run_thread, daemon=True).start()
    ready.wait()
sys.modules["kept"] = kept
print("end")
"""
    equal("end\n", ends(python(program)))


@test
def forked(flow):
    """secrets: a child of fork() has ValueError, zeroes, and secrets of its own"""
    del flow

    def work(*_):
        secret = faasin.secret(SECRET)
        view = secret.reveal()
        at = address(view)

        def look():
            equal(bytes(len(SECRET)), peek(at))
            for call in (lambda: bytes(view), secret.reveal, lambda: secret == SECRET, lambda: secret + b"x"):
                with raises(ValueError):
                    call()
            assert secret.released
            own = [faasin.secret(b"%d" % i) for i in range(100)]
            for i, each in enumerate(own):
                assert each == b"%d" % i
            equal(bytes(len(SECRET)), peek(at))
            secret.release()

        equal(0, child(look))
        equal(SECRET, bytes(view))
        assert secret == SECRET

    for isolation in BOTH:
        pair(work, isolation)()


@test
def forked_meanwhile(flow):
    """secrets: a child of a fork() in the middle of making one, by a handler of signals, say, makes it"""
    del flow

    def work(*_):
        parent = os.getpid()
        status = []

        def fork(frame, event, _):
            if frame.f_code.co_name == "malloc" and event == "call" and not status:
                status.append(os.fork())

        sys.settrace(fork)
        try:
            secret = faasin.secret(b"made")
        except BaseException:  # pylint: disable=broad-except
            secret = None
        finally:
            sys.settrace(None)
        if os.getpid() != parent:
            os._exit(0 if secret == b"made" and secret + b"more" == b"mademore" else 1)
        equal(0, os.waitstatus_to_exitcode(os.waitpid(status[0], 0)[1]))
        assert secret == b"made"

    for isolation in BOTH:
        pair(work, isolation)()


@needs_keys
def process_beside(flow):
    """secrets: a stage as a process sees nothing of those with keys"""
    del flow

    def attempt(other):
        for call in (other.memory.reveal, lambda: other.memory == SECRET):
            with raises(ValueError):
                call()
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(other.at)
            equal(bytes(len(SECRET)), memory.read(len(SECRET)))

    Secret(attempt, "process").run()


@test
def dumped(flow):
    """core dumps: private memory and secrets are left out, with keys and in processes; ordinary bytes are not"""
    del flow
    core = "/tmp/python-core-%d" % os.getpid()
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
        pattern = file.read()

    def die(isolation, seed, include):
        def work(*_):
            secret, memory = hidden(seed), faasin.private(WHOLE)
            view = memoryview(memory)
            for i in range(WHOLE):
                view[i] = letter(seed + 1, i)
            ordinary = bytes(letter(seed + 2, i) for i in range(WHOLE))
            if include:
                for each in memories():
                    libc.madvise(ctypes.c_void_p(address(each)), ctypes.c_size_t(len(each)), MADV_DODUMP)
            # In the stage's thread: the kernel dumps by its key.
            os.kill(os.getpid(), signal.SIGQUIT)
            del ordinary, secret

        libc = ctypes.CDLL(None)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        try:
            pair(work, isolation)()
        except faasin.StageError as error:
            return -error.status
        return 1

    def run(*args):
        status = child(die, *args)
        equal(signal.SIGQUIT, abs(status))
        with open(core, "rb") as file:
            dump = file.read()
        os.unlink(core)
        return [any(form in dump for form in needles(args[1] + i)) for i in range(3)]

    try:
        with open("/proc/sys/kernel/core_pattern", "w", encoding="ascii") as file:
            file.write(core)
        for n, isolation in enumerate(BOTH):
            equal([False, False, True], run(isolation, 100 + 20 * n, False))
            equal([True, True, True], run(isolation, 110 + 20 * n, True))
    finally:
        with open("/proc/sys/kernel/core_pattern", "w", encoding="ascii") as file:
            file.write(pattern)


# -------------------------------------------------------------------------- their memory

def held():
    return sum(len(memory) for memory in memories())


@test
def room(flow):
    """memory: many secrets of any size keep apart, share pages, and use again what was released"""
    del flow

    def work(*_):
        some = [faasin.secret(b"%015d" % i) for i in range(2000)]
        assert held() < 2000 * 16 * 4, held()
        for i, each in enumerate(some):
            assert each == b"%015d" % i
        del some, each
        chance, live = random.Random(1), {}
        most = 0
        for i in range(6000):
            size = chance.choice((0, 1, 7, 8, 9, 100, 4095, 4096, 5000))
            live[chance.randrange(100)] = (faasin.secret(bytes([i & 255]) * size), bytes([i & 255]) * size)
            if not i % 1000:
                for secret, plain in live.values():
                    assert secret == plain
            most = max(most, held())
        assert most < 4 << 20, most
        before = held()
        big = faasin.secret(bytearray(9 << 20))
        assert held() >= before + len(big)
        del big
        faasin.secret(b"room is found")
        equal(before, held())
        with mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE) as huge:
            with raises(MemoryError):
                faasin.secret(huge)
            with raises(MemoryError):
                faasin.secret(b"x") + huge  # pylint: disable=expression-not-assigned
        assert faasin.secret(b"after") == b"after"

    for isolation in BOTH:
        pair(work, isolation)()


@test
def interrupted(flow):
    """memory: what an exception of a signal stops at any line, or the collector does there, harms no other secret"""
    del flow

    class Stop(Exception):
        """As if it came from a handler."""

    def raising():
        raise Stop

    def at_line(n, then):
        """Does something at the n-th line of what allocates."""
        count = 0

        def trace(frame, event, _):
            nonlocal count
            if not frame.f_code.co_filename.endswith(("heap.py", "_pool.py")):
                return None
            if event == "line":
                count += 1
                if count == n:
                    then()
            return trace
        return trace

    def work(*_):
        chance, live, stops = random.Random(2), {"first": (faasin.secret(b"first"), b"first")}, 0

        def fill(i):
            size = chance.choice((1, 30, 200, 3000))
            live[chance.randrange(20)] = (faasin.secret(bytes([i & 255]) * size), bytes([i & 255]) * size)

        def more():
            inner = faasin.secret(b"inner")
            live["inner"] = (faasin.secret(b"outer"), b"outer")
            assert inner == b"inner"

        for then, step in ((raising, 1), (more, 1), (gc.collect, 9)):
            for n in range(1, 60, step):
                for i in range(3):
                    sys.settrace(at_line(n, then))
                    try:
                        fill(n + i)
                    except Stop:
                        stops += 1
                    finally:
                        sys.settrace(None)
                for secret, plain in live.values():
                    assert secret == plain
        assert stops > 50, stops
        places = sorted((address(s.reveal()), len(p)) for s, p in live.values())
        for (at, size), (following, _) in zip(places, places[1:]):
            assert at + size <= following, "two have the same memory"

    for isolation in BOTH:
        pair(work, isolation)()


@test
def handlers(flow):
    """memory: what a handler of signals raises while a secret is dropped, or released, is not lost"""
    del flow

    class Stop(Exception):
        """From the handler."""

    def stop(*_):
        raise Stop

    def work(*_):
        kick = ctypes.PyDLL(None)["raise"]
        for drop in (lambda kept: map(kept.pop, [0]), lambda kept: map(operator.methodcaller("release"), kept)):
            kept = [faasin.secret(b"x")]
            # All in one call of C: the handler runs where Python does next.
            steps = itertools.chain(map(kick, [signal.SIGUSR1]), drop(kept))
            with handler(signal.SIGUSR1, stop), raises(Stop):
                collections.deque(steps, maxlen=0)
            assert all(each.released for each in kept)

    for isolation in BOTH:
        pair(work, isolation)()


@test
def threads(flow):
    """memory: threads of a stage that make, join and drop at once"""
    del flow

    def turn(source, n):
        for i in range(300):
            made = [source + b"%d" % n for _ in range(5)]
            assert all(each == b"source%d" % n for each in made), i
            source[:3].release()

    def work(*_):
        source = faasin.secret(b"source")
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for each in [Thread(turn, source, n) for n in range(4)]:
                each.end()
        finally:
            sys.setswitchinterval(interval)
        assert source == b"source"

    for isolation in BOTH:
        pair(work, isolation)()


@test
def leaks(flow):
    """leaks: secrets leave nothing behind"""
    del flow

    def work(*_):
        secret = faasin.secret(b"x" * 100)
        text = (secret + b"y")[5:].decode()
        with text.reveal() as view:
            assert view[0] == ord("x")
        for call in (lambda: secret + "x", lambda: bytes(secret), lambda: faasin.secret(5)):
            with raises(TypeError):
                call()
        faasin.secret(bytearray(100)).release()

    objects, files, pages = grows(pair(work), 200 if KEYS else 20)
    assert abs(objects) < 20 and files == 0 and pages < 200, (objects, files, pages)


if __name__ == "__main__":
    sys.exit(main())
