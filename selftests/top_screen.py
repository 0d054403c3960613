#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""faasctl top on a terminal: keys, sizes, and what goes away while it runs. TAP on
standard output. Runs in guests only: the module is unloaded.
"""
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal  # noqa: E402 (found beside this file)

POINT = "/sys/fs/faasin"
WF = "top-%d" % os.getpid()
OTHER = WF + "-x"
HEADER = r"^LINK +RATE +FILL W-BLK R-BLK +RESID~ WAKES/s$"
MEASURED = r"^LINK +RATE +FILL W-BLK R-BLK +P50 +P99 WAKES/s$"
# The next reading is never far.
QUICK = ("-i", "0.2")


def faasctl(*words):
    subprocess.run(("faasctl",) + words, check=True, stdin=subprocess.DEVNULL)


def port(stage, name, flags, workflow=WF):
    return os.open("%s/%s/%s/%s" % (POINT, workflow, stage, name), flags | os.O_NONBLOCK)


class Test:
    """Numbers results; a screen that was misunderstood fails whatever it was for."""

    def __init__(self):
        self.count = self.failed = 0

    def result(self, name, problems):
        self.count += 1
        self.failed += bool(problems)
        print("not ok" if problems else "ok", self.count, name, flush=True)
        for problem in problems:
            print("# " + str(problem).replace("\n", "\n# "), flush=True)

    def screen(self, name, function, *words, rows=24, columns=80, under=(), **environment):
        """Calls @function with faasctl top WORDS on a terminal; it yields what must hold:
        a pattern that comes, or a pair of a word and whether that is so."""
        terminal = Terminal(rows, columns, [*under, "faasctl", "top", *QUICK, *words], **environment)
        problems = []
        try:
            for want in function(terminal):
                if isinstance(want, str) and not terminal.shows(want):
                    problems.append("never: %s" % want)
                elif isinstance(want, tuple) and not want[1]:
                    problems.append(want[0])
                if problems:
                    break
            if terminal.unknown:
                problems.append("sequences unknown: %r" % terminal.unknown[:5])
            if problems:
                problems += ["exit status %s" % terminal.status, "before the screen: %r" % terminal.plain,
                             terminal.text()]
        finally:
            terminal.close()
        self.result(name, problems)


def rows(*links):
    """A pattern: these rows, written SOURCE-DESTINATION, in this order and no others."""
    lines = [r"\S+: %s\*? → %s\*? .*\n" % tuple(link.split("-")) for link in links]
    return r"^LINK .*\n" + "".join(lines) + r"(?!\S+: )"


def left(terminal, status=0):
    """The program is gone and has given the terminal back."""
    got = terminal.ends()
    yield "exit status %s, want %s" % (got, status), got == status
    yield "the terminal is as it was", not terminal.alternate and terminal.cooked()


def quits(terminal):
    terminal.send("q")
    yield from left(terminal)


def table(t):
    yield HEADER
    yield r"^%s: a → b +0 B/s ------   0%%    0%%    0%%        -       0$" % WF
    yield rows("a-b", "b-c", "x-y")
    yield r"\Afaasctl top (.*\n){23}q quit "
    yield from quits(t)


def narrow(t):
    yield r"^LINK +RATE W-BLK R-BLK$"
    yield r"^LINK.*\n(\S+: \S+ → \S+ +0 B/s    0%    0%\n){3}\n"
    yield from quits(t)


def sorts(t):
    yield "  by link  "
    t.send("s")
    yield "  by rate  "
    t.send("S")
    yield "  by link  "
    yield rows("a-b", "b-c", "x-y")
    t.send("r")
    yield "  by link reversed  "
    yield rows("x-y", "b-c", "a-b")
    t.send("S")
    yield "  by wakes reversed  "
    t.send("S")
    yield "  by residence reversed  "
    yield from quits(t)


def measures(t):
    yield HEADER
    t.send("l")
    yield MEASURED
    t.send("s" * 6)
    yield "  by p99  "
    t.send("l")
    yield HEADER
    yield "  by residence  "
    yield from quits(t)


def measures_in_detail(t):
    yield MEASURED
    t.send("\r")
    yield "^residence  p50 -, p99 -, measured"
    yield "^rate of the last"
    ends = [port("x", "faasout", os.O_WRONLY, OTHER), port("y", "faasin", os.O_RDONLY, OTHER)]
    os.write(ends[0], bytes(1000))
    os.read(ends[1], 1000)
    yield "^bytes by how long they stayed"
    yield "^ +███$"
    for end in ends:
        os.close(end)
    t.send("q")
    yield from quits(t)


def may_not_measure(t):
    yield "^not permitted to use BPF: CAP_BPF and CAP_PERFMON are needed$"
    yield HEADER
    yield from quits(t)


def sorted_by_fill(t):
    yield "  by fill  "
    yield r"^LINK.*\n\S+: b → c"
    yield r"b → c +0 B/s #####-  80%"
    yield from quits(t)


def filters(t):
    yield "  3 links  "
    t.send("/")
    yield "^filter: _$"
    t.send("yz\x7f")
    yield "^filter: y_$"
    yield "  1 link  .*filter y"
    yield rows("x-y")
    t.send("\x1b")
    yield "  3 links  "
    t.send("/%s\r" % OTHER)
    yield "  1 link  .*filter %s" % OTHER
    t.send("/nothing\r")
    yield "^no links match the filter$"
    yield from quits(t)


def pauses(t):
    yield "b → c +0 B/s"
    t.send("p")
    yield "  PAUSED  "
    before = t.text()
    os.write(STATE["writer"], bytes(50000))
    for _ in range(8):
        t.read(0.1)
    yield "nothing moves", t.text() == before
    t.send("p")
    yield r"a → b .* 5%"
    yield r"\Afaasctl top  3 links "
    yield from quits(t)


def details(t):
    yield HEADER
    t.send("\x1bOB")
    t.send("\r")
    yield r"^%s: b → c$" % WF
    yield r"^fill +#####-  80%, 838.9 kB of 1M$"
    yield r"^bytes +838.9 kB in, 0 B out, 0 B dropped$"
    yield r"^streams +1 begun, 0 ended, 0 aborted, 0 closed early$"
    yield r"^rate of the last \d\d readings; the highest: 0 B/s$"
    yield r"^fill       ▇{10}"
    t.send("q")
    yield HEADER
    yield from quits(t)


def helps(t):
    yield HEADER
    t.send("?")
    yield r"^p +pause"
    t.send("q")
    yield HEADER
    yield from quits(t)


def resizes(t):
    yield HEADER
    t.resize(5, 30)
    yield r"\Atoo small: 40x6 at least\s*\Z"
    t.resize(10, 40)
    yield r"^LINK +RATE W-BLK R-BLK$"
    t.resize(30, 132)
    yield HEADER
    yield r"^LINK.{121}WAKES/s$"
    yield r"\A(.*\n){29}q quit "
    yield from quits(t)


def begins_too_small(t):
    yield "too small: 40x6 at least"
    yield from quits(t)


def ends_by(number):
    def ends(t):
        yield HEADER
        t.signal(number)
        yield from left(t)
    return ends


def control_c(t):
    yield HEADER
    t.send("\x03")
    yield from left(t)


def hangs_up(t):
    yield HEADER
    t.hang_up()
    got = t.ends()
    yield "exit status %s" % got, got == 0


def colours(t):
    yield r"a → b.*100% +100%"
    yield "colours: %s" % t.colours, 31 in t.colours
    yield from quits(t)


def no_colours(t):
    yield r"a → b.*100% +100%"
    yield "colours: %s" % t.colours, not t.colours
    yield from quits(t)


def dumb(t):
    got = t.ends()
    yield "exit status %s" % got, got == 2
    yield "nothing is drawn", not t.drawn
    yield "it says so: " + t.plain, bool(re.fullmatch(
        r'faasctl: terminal "\S+" cannot show this; for a table: faasctl top --once\r\n', t.plain))


def no_such_workflow(t):
    got = t.ends()
    yield "exit status %s" % got, got == 2
    yield "nothing is drawn", not t.drawn
    yield "it says so: " + t.plain, t.plain == "faasctl: no such workflow; see: faasctl show\r\n"


def workflow_vanishes(t):
    yield "x → y"
    faasctl("workflow", "del", OTHER)
    yield "^the workflow is gone: waiting for it; q quits$"
    yield "^no links$"
    faasctl("link", OTHER, "x", "y")
    yield "x → y"
    t.send("\r")
    yield "^streams "
    faasctl("unlink", OTHER, "x")
    yield "^that link is gone$"
    faasctl("link", OTHER, "x", "y")
    yield "x → y"
    yield from quits(t)


def module_unloaded(t):
    yield "^no links$"
    subprocess.run(["umount", POINT], check=True)
    subprocess.run(["rmmod", "faasin"], check=True)
    yield from left(t, 2)
    yield "it says so: " + t.plain, t.plain.endswith("faasctl: faasin: the module was unloaded\r\n")


NO_BPF = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e", "inject=bpf:error=EPERM")
STATE = {}


def fill(test):
    """Bytes wait between b and c, four fifths of what it takes."""
    STATE["b"] = port("b", "faasout", os.O_WRONLY)
    got = os.write(STATE["b"], bytes(4 * 1048576 // 5))
    test.result("setting up: bytes", [] if got == 4 * 1048576 // 5 else [got])
    STATE["writer"] = port("a", "faasout", os.O_WRONLY)


def block():
    """A writer that is blocked between a and b."""
    pid = os.fork()
    if not pid:
        fd = os.open("%s/%s/a/faasout" % (POINT, WF), os.O_WRONLY)
        os.write(fd, bytes(4 * 1048576))
        os._exit(0)
    return pid


def run(test):
    faasctl("link", WF, "a", "b", "c")
    faasctl("link", OTHER, "x", "y")
    test.screen("80x24: the table", table)
    test.screen("40x10: the columns that matter", narrow, rows=10, columns=40)
    test.screen("sorting by keys", sorts)
    fill(test)
    test.screen("sorting by --sort", sorted_by_fill, "--sort", "fill")
    test.screen("filtering", filters)
    test.screen("pausing", pauses)
    test.screen("one link", details, WF)
    test.screen("measuring", measures)
    test.screen("measured, in detail", measures_in_detail, "--latency", OTHER)
    test.screen("without BPF", may_not_measure, "--latency", under=NO_BPF)
    test.screen("help", helps)
    test.screen("other sizes", resizes)
    test.screen("too small at first", begins_too_small, rows=5, columns=100)
    test.screen("Ctrl-C", control_c)
    for name in ("INT", "TERM", "HUP", "QUIT"):
        test.screen("SIG" + name, ends_by(getattr(signal, "SIG" + name)))
    test.screen("the terminal goes away", hangs_up)
    blocked = block()
    test.screen("colours", colours)
    test.screen("NO_COLOR", no_colours, NO_COLOR="1")
    test.screen("NO_COLOR that is empty", colours, NO_COLOR="")
    os.kill(blocked, signal.SIGKILL)
    os.waitpid(blocked, 0)
    test.screen("a dumb terminal", dumb, TERM="dumb")
    test.screen("a terminal that nobody knows", dumb, TERM="no-such-terminal")
    test.screen("no such workflow", no_such_workflow, "nobody")
    test.screen("a workflow that vanishes", workflow_vanishes, OTHER)


def unload(test):
    """The module itself goes, and comes back."""
    for fd in STATE.values():
        os.close(fd)
    STATE.clear()
    for name in (WF, OTHER):
        faasctl("workflow", "del", name)
    test.screen("the module is unloaded", module_unloaded)


def restore():
    module = os.environ.get("FAASIN_MODULE") or "build/kmod-%s/faasin.ko" % os.environ["FAASIN_GUEST"]
    if not os.path.exists("/sys/module/faasin"):
        subprocess.run(["insmod", module], check=False)
    if not os.path.ismount(POINT):
        subprocess.run(["mount", "-t", "faasin", "none", POINT], check=False)
    for name in (WF, OTHER):
        subprocess.run(["faasctl", "workflow", "del", name], check=False, stderr=subprocess.DEVNULL)


def main():
    print("TAP version 13")
    if not os.environ.get("FAASIN_GUEST"):
        print("1..0 # SKIP runs in guests only: it unloads the module")
        return 4
    test = Test()
    try:
        run(test)
        unload(test)
    finally:
        restore()
    print("1..%d" % test.count)
    return 1 if test.failed else 0


if __name__ == "__main__":
    sys.exit(main())
