# SPDX-License-Identifier: GPL-2.0
"""What tests of stages in Python share: stages at once, of which one tries to get at what the other has."""
import ctypes
import faulthandler
import os
import signal
import threading

from python_flow import child, equal, skipped, test

SECRET = b"a secret that nobody else sees"
KEYS = False

if os.path.isdir("/sys/module/faasin"):
    import faasin
    KEYS = faasin.Stage(lambda: None, "keys").isolation == "keys"


class _Buffer(ctypes.Structure):
    """Py_buffer, as far as it is looked at."""

    _fields_ = [("buf", ctypes.c_void_p), ("rest", ctypes.c_void_p * 20)]


def address(memory):
    """Where a buffer is, one that cannot be written, too."""
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(memory), ctypes.byref(buffer), 0)
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return buffer.buf


def peek(at, size=len(SECRET)):
    """What is there, by no object that could object."""
    return ctypes.string_at(at, size)


POOL = []


def pair(function, isolation="keys"):
    """A stage. Of those with keys, which they have for good, some few are used in turn."""
    if isolation != "keys":
        return faasin.stage(isolation=isolation)(function)
    if len(POOL) < 4:
        POOL.insert(0, faasin.stage(isolation="keys")(function))
    POOL.append(POOL.pop(0))
    POOL[-1].function, POOL[-1].name = function, function.__name__
    return POOL[-1]


def needs_keys(function):
    """A test of what only keys do."""
    return test(function) if KEYS else skipped(function, "there are no protection keys")


class Other:
    """Two stages at once: one that has a secret, and what the other one is to try meanwhile."""

    def __init__(self, attempt, isolation="keys"):
        self.ready, self.done = threading.Event(), threading.Event()
        self.memory = self.view = self.at = self.result = None
        self.made = False
        self.owner = pair(self.own)
        self.attempt = attempt
        self.isolation = isolation

    def make(self):
        """Makes memory and view, with SECRET in it."""
        self.memory = faasin.private(len(SECRET))
        self.view = memoryview(self.memory)
        self.view[:] = SECRET

    def after(self):
        """What the owner looks at when the attempt was made."""

    def own(self, *_):
        try:
            self.make()
            self.at = address(self.view)
            equal(SECRET, peek(self.at))
            self.made = True
        finally:
            self.ready.set()
        self.done.wait(60)
        self.after()

    def other(self, *_):
        self.result = self.attempt(self)

    def run(self):
        owner = self.owner.start()
        self.ready.wait(60)
        try:
            # Else the attempt could fail, or fault, for want of an address.
            assert self.made, "the owner made nothing"
            if self.isolation:
                pair(self.other, self.isolation).start().join()
            else:
                self.other()
        finally:
            self.done.set()
            owner.join()
        return self.result


def dies(attempt, isolation="keys", kind=Other):
    """In a child: the attempt is to end it, by the processor."""
    def run():
        faulthandler.disable()
        kind(attempt, isolation).run()

    equal(-signal.SIGSEGV, child(run))
