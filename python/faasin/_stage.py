# SPDX-License-Identifier: LGPL-2.1-or-later
"""Functions as stages: how they run, what is private to them, and how their streams end."""
import functools
import json
import os
import select
import sys
import threading
import traceback

from faasin import _core

ISOLATIONS = ("none", "keys", "process")

# What a child has to say of its end has to fit into a pipe that nobody reads yet.
REPORT_MAX = 32768

_thread = threading.local()


class StageError(RuntimeError):
    """A stage that ran as a process failed.

    stage: its name. status: its exit status, or the negative number of the signal that killed
    it. details: the traceback, as text, or "".
    """

    def __init__(self, stage, status, text, details=""):
        super().__init__("stage %s: %s" % (stage, text))
        self.stage = stage
        self.status = status
        self.details = details


def _running():
    """What runs in this thread, and has private memory."""
    run = getattr(_thread, "run", None)
    if run is None:
        raise RuntimeError("no stage runs in this thread: private memory belongs to a stage")
    if run.isolation == "none":
        raise RuntimeError("stage %s has no private memory: give it isolation='keys' or 'process'"
                           % run.stage.name)
    return run


def private(size):
    """Memory that is the running stage's alone: a Private. For keys, tokens, what is decrypted.

    RuntimeError where no stage runs, or one whose isolation is 'none': it is never less private
    than it says.
    """
    run = _running()
    memory = _core.Private(run._arena, size)
    run._private.append(memory)
    return memory


def secret(value):
    """An object whose content is in the running stage's private memory: a Secret.

    Of str it is a SecretStr, of bytearray a SecretBuffer, which can be changed, and of all else
    that is like bytes a SecretBytes. value itself stays what it is: ordinary memory. RuntimeError
    as private().
    """
    return _core.make_secret(_running()._pool, value)


class Stage:
    """A function as a stage: what the decorator stage() makes. Calling it runs it to its end.

    name: the function's. asked: the isolation that was asked for. isolation: the one that it
    has, never a weaker one. why: if they differ, why.
    """

    def __init__(self, function, isolation):
        if isolation not in ISOLATIONS:
            raise ValueError("isolation %r is none of %s" % (isolation, ", ".join(ISOLATIONS)))
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.asked = self.isolation = isolation
        self.why = ""
        self._arena = self._make_pool = None
        if isolation != "none":
            # What this imports takes time, and others need it not. Not in a stage, either: in a
            # child of fork() nobody gives back what a thread that imports has locked.
            from faasin._pool import Pool  # pylint: disable=import-outside-toplevel
            self._make_pool = Pool
        if isolation == "keys":
            try:
                self._arena = _core.Arena()
            except OSError as error:
                self.isolation, self.why = "process", str(error)

    def __repr__(self):
        return "<faasin.Stage %s isolation='%s'>" % (self.name, self.isolation)

    def __call__(self, input=None, output=None):  # pylint: disable=redefined-builtin
        """Run the stage to its end. input, output: ports, their names or paths."""
        run = Run(self, input, output)
        if self.isolation == "process":
            run._fork()
            run.join()
        else:
            run._here()

    def start(self, input=None, output=None):  # pylint: disable=redefined-builtin
        """Run the stage in a thread, or in a process if that is its isolation. Returns a Run."""
        run = Run(self, input, output)
        if self.isolation == "process":
            run._fork()
        else:
            run._thread()
        return run


def stage(function=None, *, isolation="none"):
    """Make a function of an input and an output a stage.

        @faasin.stage
        def upper(input, output):
            for line in input:
                output.write(line.upper())

        if __name__ == "__main__":
            upper()

    When it returns, its stream is ended; when it raises, aborted: the next stage never takes
    half of a result for all of it. It is run by calling it, by start(), or by
    "python3 -m faasin FILE". isolation says what private() memory is kept from the others by:

    'none': it has no private memory. 'keys': a protection key; the stage runs in this
    interpreter. 'process': a process of its own. Where there are no keys (left), 'keys' is
    'process'; the stage's attributes isolation and why tell.
    """
    if function is None:
        return functools.partial(Stage, isolation=isolation)
    return Stage(function, isolation)


def _port(port, name, mode):
    if isinstance(port, _core.Port):
        return port
    return _core.Port(name if port is None else port, mode, lazy=True)


def _succeeded(error):
    return error is None or isinstance(error, SystemExit) and error.code in (None, 0)


def _close(port):
    """Closes a port, but for one whose memory is in use: its frames have it still."""
    try:
        port.close()
    except BufferError:
        pass


class Run:
    """A stage that was started. isolation: what it runs with. pid: of its process, or None."""

    def __init__(self, of, input, output):  # pylint: disable=redefined-builtin
        self.stage = of
        self.isolation = of.isolation
        self.pid = None
        self.input = _port(input, "faasin", "r")
        self.output = _port(output, "faasout", "w")
        self._arena = of._arena if of.isolation == "keys" else None
        self._private = []
        self._pool = of._make_pool(self._arena, self._private) if of._make_pool else None
        self._worker = self._error = self._report = self._failed = None
        self._joined = False

    # ------------------------------------------------------------------ in this interpreter

    def _inside(self):
        """Calls the function, with what is private to it open."""
        outer = getattr(_thread, "run", None)
        _thread.run = self
        if self._arena:
            was = self._arena.enter()
        try:
            self.stage.function(self.input, self.output)
        finally:
            # First, so that a handler of signals gets nothing of this stage that does not end.
            _thread.run = outer
            if self._arena:
                self._arena.leave(was)
            if self._pool:
                self._pool.ended = True
            # A list, as all have to be asked.
            if any([memory._end() for memory in self._private]):
                _core.revoke_stale()
            del self._private[:]

    def _settle(self, error, exiting):
        """Ends the stream, or aborts it; an exit status can be left to the link's rule."""
        output = self.output
        if exiting and isinstance(error, SystemExit) and not _succeeded(error):
            output._keep()
        elif not output.closed and output._open_now():
            if _succeeded(error):
                output.end()
            else:
                output.abort()
            _close(output)
        _close(self.input)

    def _here(self, exiting=True):
        """Runs it here. exiting: SystemExit is going to end the process."""
        try:
            self._inside()
        except BaseException as error:
            self._settle(error, exiting)
            raise
        self._settle(None, exiting)

    def _run_thread(self):
        try:
            self._here(exiting=False)
        except BaseException as error:  # pylint: disable=broad-except
            self._error = error

    def _thread(self):
        self._worker = threading.Thread(target=self._run_thread, name=self.stage.name)
        self._worker.start()

    # ------------------------------------------------------------------------- as a process

    def _fork(self):
        self._report, report = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                status = self._child(report)
            finally:
                os._exit(status)
        os.close(report)
        # From here on these are the child's.
        for port in (self.input, self.output):
            _close(port)

    def _child(self, report):
        for port in _core.open_ports():
            if port not in (self.input, self.output):
                port._forget()
        status, error = 0, None
        try:
            self._here()
        except SystemExit as exit_error:
            if not _succeeded(exit_error):
                code = exit_error.code
                status = code & 255 if isinstance(code, int) else 1
                error = {"text": "exited with status %d" % status, "details": ""}
        except BaseException as failure:  # pylint: disable=broad-except
            status = 1
            error = {"text": "%s: %s" % (type(failure).__name__, failure),
                     "details": traceback.format_exc()}
            for port in _core.open_ports():
                if port.writable():
                    port.abort()
        if error:
            error = {key: text[-REPORT_MAX // 4:] for key, text in error.items()}
            os.write(report, json.dumps(error).encode()[:REPORT_MAX])
        sys.stdout.flush()
        sys.stderr.flush()
        return status

    def _wait(self, timeout):
        """Waits for the process, and makes of its end what join() raises."""
        descriptor = os.pidfd_open(self.pid)
        try:
            if not select.select([descriptor], [], [], timeout)[0]:
                raise TimeoutError("stage %s is still running" % self.stage.name)
        finally:
            os.close(descriptor)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.set_blocking(self._report, False)
        try:
            report = os.read(self._report, REPORT_MAX)
        except BlockingIOError:
            report = b""
        os.close(self._report)
        text, details = "exited with status %d" % status, ""
        if status < 0:
            text = "was killed by signal %d" % -status
        elif report:
            # What a child says is text: nothing of it is executed here.
            told = json.loads(report)
            text, details = str(told["text"]), str(told["details"])
        if status:
            self._error = StageError(self.stage.name, status, text, details)

    def join(self, timeout=None):
        """Wait for the stage's end. Raises what it raised; StageError, if it was a process.

        TimeoutError: it did not end within so many seconds.
        """
        if not self._joined:
            if self.pid:
                self._wait(timeout)
            else:
                self._worker.join(timeout)
                if self._worker.is_alive():
                    raise TimeoutError("stage %s is still running" % self.stage.name)
            self._joined = True
        if self._error:
            raise self._error
