# SPDX-License-Identifier: GPL-2.0
"""A terminal for tests: runs a program on a pseudo-terminal and keeps what its screen
shows. Knows what TERM=xterm programs send by terminfo, and notes what it does not know:
a screen that was misunderstood proves nothing.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

# Until something counts as hung; long enough for an emulated guest.
DEADLINE = 60

SEQUENCE = re.compile(r"\x1b(?:\[([?>]?)([\d;]*)([A-Za-z@`])|\(([B0])|([=>78cMHDE]))")


class Terminal:
    """A program and the screen that it draws on."""

    def __init__(self, rows, columns, command, **environment):
        self.rows, self.columns = rows, columns
        self.x = self.y = 0
        self.upper, self.lower = 0, rows - 1
        self.cells = {}
        self.colours = set()
        self.unknown = []
        self.alternate = False
        self.drawn = False
        self.plain = ""
        self.pending = ""
        self.last = " "
        self.status = None
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LINES", "COLUMNS")}
        env.update({"TERM": "xterm", "LC_ALL": "C.UTF-8"}, **environment)
        self.pid, self.fd = pty.fork()
        if not self.pid:
            try:
                self._size(1)
                os.execvpe(command[0], command, env)
            finally:
                os._exit(127)

    def _size(self, fd):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))

    # ---------------------------------------------------------------- what is sent

    def send(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.upper, self.lower = 0, rows - 1
        self._size(self.fd)

    def signal(self, number):
        os.kill(self.pid, number)

    def hang_up(self):
        os.close(self.fd)
        self.fd = -1

    # ---------------------------------------------------------------- what comes

    def line(self, y):
        return "".join(self.cells.get((y, x), " ") for x in range(self.columns)).rstrip()

    def text(self):
        return "\n".join(self.line(y) for y in range(self.rows))

    def read(self, seconds):
        """Takes in what comes until then; False once the program has closed."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self._take(self.decoder.decode(data))
        return bool(data)

    def shows(self, pattern):
        """Waits until the screen has what matches; whether it came."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            if re.search(pattern, self.text(), re.M):
                return True
            if not self.read(0.2):
                return bool(re.search(pattern, self.text(), re.M))
        return False

    def ends(self):
        """Waits for the end: the exit status, minus a signal, or None if there is none."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.fd >= 0 and self.read(0):
                    if not select.select([self.fd], [], [], 0.1)[0]:
                        break
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
            if self.fd >= 0:
                self.read(0.1)
            else:
                time.sleep(0.1)
        return None

    def close(self):
        if self.status is None and self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.fd >= 0:
            os.close(self.fd)

    def cooked(self):
        """Whether the terminal echoes and edits lines, as a shell wants it."""
        flags = termios.tcgetattr(self.fd)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)

    # ---------------------------------------------------------------- the screen

    def _take(self, text):
        text = self.pending + text
        self.pending = ""
        i = 0
        while i < len(text):
            if text[i] != "\x1b":
                self._character(text[i])
                i += 1
                continue
            m = SEQUENCE.match(text, i)
            if m:
                self._sequence(m)
                i = m.end()
            elif len(text) - i < 16:
                self.pending = text[i:]
                return
            else:
                self.unknown.append(text[i:i + 16])
                i += 1

    def _character(self, c):
        if c == "\r":
            self.x = 0
        elif c == "\n":
            self._down()
        elif c == "\b":
            self.x = max(self.x - 1, 0)
        elif c == "\t":
            self.x = min(self.x // 8 * 8 + 8, self.columns - 1)
        elif c in "\x0f\x0e\x07":
            pass
        elif c < " ":
            self.unknown.append(c)
        else:
            if self.x >= self.columns:
                self.x = 0
                self._down()
            self.cells[self.y, self.x] = self.last = c
            self.x += 1
        if not self.alternate:
            self.plain += c

    def _clear(self, y, start, end):
        for x in range(start, end):
            self.cells.pop((y, x), None)

    def _sequence(self, m):
        mark, numbers, final, charset, other = m.groups()
        if other == "M":
            if self.y == self.upper:
                self._scroll(self.upper, 1)
            else:
                self.y = max(self.y - 1, 0)
        elif other in ("D", "E", "H", "c"):
            self.unknown.append(m[0])
        if charset or other:
            return
        n = [int(x) if x else 0 for x in numbers.split(";")] if numbers else []
        first = max(n[0], 1) if n else 1
        self.x = min(self.x, self.columns - 1)
        if mark:
            if mark == "?" and n and n[0] == 1049:
                self.alternate = final == "h"
                self.drawn |= self.alternate
        elif final == "H":
            self.y = min(first, self.rows) - 1
            self.x = min(max(n[1], 1) if len(n) > 1 else 1, self.columns) - 1
        elif final == "d":
            self.y = min(first, self.rows) - 1
        elif final in "G`":
            self.x = min(first, self.columns) - 1
        elif final in "ABCD":
            self.x += {"C": first, "D": -first}.get(final, 0)
            self.y += {"B": first, "A": -first}.get(final, 0)
            self.x = min(max(self.x, 0), self.columns - 1)
            self.y = min(max(self.y, 0), self.rows - 1)
        elif final == "J":
            if n and n[0] == 2:
                self.cells.clear()
            else:
                self._clear(self.y, self.x, self.columns)
                for y in range(self.y + 1, self.rows):
                    self._clear(y, 0, self.columns)
        elif final == "K":
            if n and n[0] == 1:
                self._clear(self.y, 0, self.x + 1)
            else:
                self._clear(self.y, self.x, self.columns)
        elif final == "X":
            self._clear(self.y, self.x, min(self.x + first, self.columns))
        elif final == "b":
            for _ in range(first):
                self._character(self.last)
        elif final in "P@":
            self._shift(first if final == "@" else -first)
        elif final in "LM":
            self._scroll(self.y, first if final == "L" else -first)
        elif final in "ST":
            self._scroll(self.upper, first if final == "T" else -first)
        elif final == "r":
            self.upper = min(first, self.rows) - 1
            self.lower = min(n[1], self.rows) - 1 if len(n) > 1 else self.rows - 1
            self.x = self.y = 0
        elif final == "m":
            self.colours |= {c for c in n if 30 <= c <= 49 and c not in (39, 49)}
        elif final not in "hlt":
            self.unknown.append(m[0])

    def _shift(self, by):
        row = [self.cells.get((self.y, x), " ") for x in range(self.columns)]
        rest = row[self.x:]
        rest = [" "] * by + rest if by > 0 else rest[-by:]
        for i in range(self.columns - self.x):
            self.cells[self.y, self.x + i] = rest[i] if i < len(rest) else " "

    def _scroll(self, top, by):
        """Moves the lines from there to the end of the region: down if by is positive."""
        lines = [[self.cells.get((y, x), " ") for x in range(self.columns)] for y in range(top, self.lower + 1)]
        blank = [[" "] * self.columns for _ in range(min(abs(by), len(lines)))]
        lines = blank + lines if by > 0 else lines[-by:] + blank
        for i in range(self.lower + 1 - top):
            for x in range(self.columns):
                self.cells[top + i, x] = lines[i][x]

    def _down(self):
        if self.y == self.lower:
            self._scroll(self.upper, -1)
        else:
            self.y = min(self.y + 1, self.rows - 1)
