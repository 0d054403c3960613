#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Run a command for which the kernel does not have a system call: without.py CALL COMMAND..."""

import ctypes
import os
import struct
import sys

CALLS = {"landlock_create_ruleset": 444, "landlock_restrict_self": 446, "seccomp": 317}
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ENOSYS = 0x00050000 | 38
ALLOW = 0x7FFF0000


def deny(number):
    """From here on that call gives ENOSYS."""
    code = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in ((LOAD, 0, 0, 0), (EQUAL, 0, 1, number), (RETURN, 0, 0, ENOSYS), (RETURN, 0, 0, ALLOW))
    )
    instructions = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(instructions)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, MODE_FILTER, program, 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))


deny(CALLS[sys.argv[1]])
os.execvp(sys.argv[2], sys.argv[2:])
