# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports of a stage of a FAASIN workflow, as Python files.

    import faasin

    for line in faasin.input:
        faasin.output.write(line.upper())

faasin.input and faasin.output are the ports of the stage that this process is in (FAASIN and
FAASOUT name them; faasctl exec and containers set that). They are opened when they are first
used, which waits until they are linked. open() opens ports by name or path.

A stream that was not written to its end must not look as if it was. So leaving a port's with
block by an exception aborts its stream, and so does an exception that ends the program: the next
stage gets StreamAborted after what was written, and no end of file.

Records keep their borders, and need no copying:

    for record in faasin.input.records():       # a Record: memory of the link, read-only
        with memoryview(record) as view: ...

    extent = faasin.output.alloc(65536)         # an Extent: memory of the link, to be filled
    source.readinto(extent)
    faasin.output.send(extent)                  # handed off

A function can be a stage, which ends its stream, or aborts it; see stage():

    @faasin.stage
    def upper(input, output): ...

private() is memory, and secret() an object with content, that other stages of the program cannot
read.

Errors are OSError, with errno, and the port as filename.
"""
import atexit as _atexit
import sys as _sys

from faasin import _core
from faasin._core import (Extent, Port, PortInfo, Private, Record, RecordTooLarge, Secret,
                          SecretBuffer, SecretBytes, SecretStr, StageReplaced, StreamAborted,
                          __version__)
from faasin._stage import Run, Stage, StageError, private, secret, stage

__all__ = ["Extent", "Port", "PortInfo", "Private", "Record", "RecordTooLarge", "Run", "Secret",
           "SecretBuffer", "SecretBytes", "SecretStr", "Stage", "StageError", "StageReplaced",
           "StreamAborted", "input", "open", "output", "private", "secret", "stage"]

# A reader of this module meets the stage's files, not the built-in functions.
# pylint: disable=redefined-builtin
input = Port("faasin", "r", lazy=True)
output = Port("faasout", "w", lazy=True)


def open(port, mode="r", *, blocking=True):
    """Open a port of this process's stage: its name, or a path. mode: 'r' or 'w'.

    Waits until the port is linked; with blocking=False that is an OSError (ENXIO), and reading
    and writing do not wait either.
    """
    return Port(port, mode, blocking=blocking)


@_atexit.register
def _settle():
    """What becomes of streams when the program ends.

    An exception that ended it aborts them. Otherwise ports stay open until the process is gone:
    its exit status is what the link's rule goes by.
    """
    failed = getattr(_sys, "last_value", None) is not None
    # Who read, and failed before anything was written, did not mean an empty result.
    if failed and input.opened and not output.closed:
        output._open_now()
    for port in _core.open_ports():
        if port.mode != "wb":
            continue
        port._keep()
        if failed:
            try:
                port.abort()
            # Whatever one port says, the others have to be aborted, too.
            except Exception:  # pylint: disable=broad-except
                pass
