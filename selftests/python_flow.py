# SPDX-License-Identifier: GPL-2.0
"""What tests of the Python module share: links, processes, tests that are functions."""
import contextlib
import errno
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODULE = os.path.join(ROOT, "build/python")
sys.path.insert(0, MODULE)

POINT = "/sys/fs/faasin"
TESTS = []


def test(function):
    """A test: its first line of text is the result's name. It is given a Flow."""
    TESTS.append(function)
    return function


def skipped(function, why):
    """A test that cannot be made here."""
    function.skipped = why
    return test(function)


def faasctl(*words, **options):
    return subprocess.run(("faasctl",) + words, check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


class Flow:
    """A workflow with a link from stage a to stage b."""

    count = 0

    def __init__(self, *options):
        Flow.count += 1
        self.name = "python-%d-%d" % (os.getpid(), Flow.count)
        self.link("a", "b", *options)

    def link(self, *ends_and_options):
        ends = [e for e in ends_and_options[:2]]
        faasctl("link", *ends_and_options[2:], self.name, *ends)

    def path(self, stage, port):
        return "%s/%s/%s/%s" % (POINT, self.name, stage, port)

    def out(self, stage="a", **options):
        import faasin
        return faasin.open(self.path(stage, "faasout"), "w", **options)

    def inp(self, stage="b", **options):
        import faasin
        return faasin.open(self.path(stage, "faasin"), "r", **options)

    def remove(self):
        subprocess.run(("faasctl", "workflow", "del", self.name), check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        top = "/sys/fs/cgroup/faasin/" + self.name
        for directory, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def python(code, *args, stage=None, **options):
    """Starts Python with a program; stage: (workflow, stage), by faasctl exec."""
    command = [sys.executable, "-c", code, *args]
    if stage:
        command = ["faasctl", "exec", *stage, "--", *command]
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, env=dict(os.environ, PYTHONPATH=MODULE), text=True,
                            stdout=options.pop("stdout", subprocess.PIPE),
                            stderr=options.pop("stderr", subprocess.PIPE), **options)


def ends(process, status=0):
    """Waits for it, and compares its exit status; returns what it printed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, "exit status %s, want %s: %s%s" % (
        process.returncode, status, out, err)
    return out + err


@contextlib.contextmanager
def raises(kind, number=None, text=""):
    """The block raises that, with that errno and text, and names a port if it has an errno."""
    try:
        yield
    except kind as error:
        if number:
            found = errno.errorcode.get(error.errno)
            assert found == number, "errno %s, want %s: %s" % (found, number, error)
            assert error.filename is not None, "no port is named: %r" % error
        assert text in str(error), "'%s' is not in '%s'" % (text, error)
        return
    raise AssertionError("%s was not raised" % kind)


def equal(want, got):
    assert want == got, "want %.200r, got %.200r" % (want, got)


class Thread(threading.Thread):
    """A thread that gives what its function returned, or raised, to join()."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.function, self.args = function, args
        self.result = self.error = None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.args)
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        self.join(120)
        assert not self.is_alive(), "the thread hangs"
        if self.error:
            raise self.error
        return self.result


def until(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@contextlib.contextmanager
def handler(number, function):
    old = signal.signal(number, function)
    try:
        yield
    finally:
        signal.signal(number, old)


def blocked(native_id, where="[faasin]"):
    """Whether a thread of this process sleeps in the module, or in what else is named."""
    task = "/proc/self/task/%d/" % native_id
    with open(task + "stat", encoding="ascii") as file:
        asleep = file.read().rsplit(")", 1)[1].split()[0] == "S"
    with open(task + "stack", encoding="ascii") as file:
        return where in file.read() and asleep


def kick_main(out, data, number):
    """Writes something, waits until the main thread sleeps, and sends it a signal."""
    main_thread = threading.get_native_id()

    def run():
        until(lambda: blocked(main_thread))
        if data:
            out.write(data)
            until(lambda: out.info().unread == 0 and blocked(main_thread))
        os.kill(os.getpid(), number)

    return Thread(run)


def grows(function, rounds=300):
    """
    How many objects, descriptors and pages many calls leave behind, the least of three times as many: what leaks does so
    each time, and what allocators keep for later comes once.
    """
    def measure():
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as file:
            resident = int(file.read().split()[1])
        return len(gc.get_objects()), len(os.listdir("/proc/self/fd")), resident

    for _ in range(rounds // 3):
        function()
    measured = [measure()]
    for _ in range(3):
        for _ in range(rounds):
            function()
        measured.append(measure())
    return [min((c - b for b, c in zip(column, column[1:])), key=abs) for column in zip(*measured)]


def child(function, *args):
    """Runs it in a child of fork; returns its exit status, negative of a signal."""
    # Else the child prints it, too.
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = function(*args) or 0
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(options=()):
    """Runs all tests, each with a link of its own."""
    print("TAP version 13")
    if not os.path.isdir("/sys/module/faasin") or os.geteuid():
        print("1..0 # SKIP needs root and the module")
        return 4
    if not os.path.exists(MODULE + "/faasin/_core.so"):
        print("1..0 # SKIP the Python module was not built: python3-dev is missing")
        return 4
    faulthandler.enable()
    tap = Tap()
    wanted = sys.argv[1:]
    for function in TESTS:
        name = function.__doc__.splitlines()[0]
        if wanted and function.__name__ not in wanted:
            continue
        if hasattr(function, "skipped"):
            tap.skip(name, function.skipped)
            continue
        problems = []
        flow = Flow(*options)
        try:
            function(flow)
        except BaseException:  # pylint: disable=broad-except
            problems = traceback.format_exc().splitlines()
        flow.remove()
        tap.result(name, problems)
        sys.stdout.flush()
    return tap.done()
