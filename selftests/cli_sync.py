#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Holds the descriptions of the tool and the library against each other.

What faasctl --help says comes from the tables in its code, so that is what the
manual pages and the completions for bash, zsh and fish are compared with; and the
library's header with its map, its manual page and what it exports. TAP on
standard output. Needs no module: build/bin/faasctl, and what FAASCTL names instead.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOL = os.environ.get("FAASCTL", os.path.join(ROOT, "build/bin/faasctl"))
BASH = "faasctl/completions/faasctl.bash"
ZSH = "faasctl/completions/_faasctl"
FISH = "faasctl/completions/faasctl.fish"
HELP = ("h", "help", "")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def run(*words):
    """Exit status and output of a command, errors included."""
    path = os.path.dirname(TOOL) + ":" + os.environ.get("PATH", "/usr/bin:/bin")
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, check=False, cwd=ROOT, timeout=60,
                          env=dict(os.environ, PATH=path, LC_ALL="C.UTF-8"))
    return done.returncode, done.stdout


class Command:
    """What --help says of a command."""

    def __init__(self, name):
        self.name = name
        self.status, self.text = run(TOOL, *name.split(), "--help")
        lines = self.text.splitlines() + ["", ""]
        self.usage = lines[0].removeprefix("Usage: ")
        self.what = lines[1].rstrip(".")
        self.subs = dict(re.findall(r"^  (%s \w+) +(.*)$" % name, self.text, re.M))
        self.options = {
            (m[1] or "", m[2], m[3] or "")
            for m in re.finditer(r"^  (?:-(\S), |    )--(\S+)(?: (\S+))? {1,}\S", self.section("Options"), re.M)
        }
        self.example = self.section("Example").strip()

    def section(self, title):
        found = re.search(r"^%s:\n(.*?)(?:\n\n|\Z)" % title, self.text, re.M | re.S)
        return found[1] if found else ""

    def flags(self):
        """Its options: (letter, name, whether a value follows)."""
        return {(short, name, bool(arg)) for short, name, arg in self.options}


def commands():
    """The commands in the order of the list, and all with subcommands by name."""
    listed = re.findall(r"^  (\w+) +(.*)$", run(TOOL, "--help")[1], re.M)
    found = {}
    for name, _ in listed:
        found[name] = Command(name)
        for sub in found[name].subs:
            found[sub] = Command(sub)
    return dict(listed), found


def check_help(tap, listed, found):
    for name, command in found.items():
        problems = []
        if command.status:
            problems.append("exit status %d" % command.status)
        if not re.match(r"faasctl %s( |$)" % re.escape(name), command.usage):
            problems.append("usage: %r" % command.usage)
        if not re.match(r"faasctl %s( |$)" % re.escape(name), command.example):
            problems.append("example: %r" % command.example)
        if HELP not in command.options:
            problems.append("no option --help")
        if name in listed and command.what != listed[name]:
            problems.append("the list says %r, its help %r" % (listed[name], command.what))
        if run(TOOL, "help", *name.split()) != (command.status, command.text):
            problems.append("faasctl help %s says something else" % name)
        too_long = [line for line in command.text.splitlines() if len(line) > 120]
        problems += ["a line is too long: %r" % line for line in too_long]
        tap.result("help of %s" % name, problems)


def check_sources(tap, listed, found):
    """A file a command; every option in a table is acted upon."""
    main = read("faasctl/main.c")
    tap.equal("main.c has all commands", "command", set(listed),
              set(re.findall(r"&(\w+)_command,", main)))
    common = re.search(r"bool link_option\(.*?^}", read("faasctl/args.c"), re.M | re.S)[0]
    args_json = re.search(r"^bool args_json\(.*?^}", read("faasctl/args.c"), re.M | re.S)[0]
    for name in listed:
        problems = []
        path = "faasctl/%s.c" % name
        if not os.path.exists(os.path.join(ROOT, path)):
            problems.append("no %s" % path)
        else:
            text = read(path)
            if "args_json(" in text:
                text += args_json
            for command in found.values():
                if command.name.split()[0] != name:
                    continue
                for short, option, arg in command.options - {HELP}:
                    if not re.search(r"(== |case )'%s'" % short, text + common):
                        problems.append("%s: nothing is done for --%s" % (command.name, option))
        tap.result("%s.c" % name, problems)


def plain(scd):
    """scdoc's text without its marks."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)\*|(?<![\w\\])_|_(?!\w)", "", scd))


def man_section(text, title, level="#"):
    found = re.search(r"^%s %s\n(.*?)(?=^%s [^#]|^# |\Z)" % (level, re.escape(title), level),
                      text, re.M | re.S)
    return found[1] if found else ""


def man_options(text):
    return {
        (m[1] or "", m[2], plain(m[3] or "").strip())
        for m in re.finditer(r"^(?:\*-(\S)\*, )?\*--(\S+)\*(?: (_.*_))?$", text, re.M)
    }


def check_page(tap, command, found):
    path = "faasctl/man/faasctl-%s.1.scd" % command.name
    if not os.path.exists(os.path.join(ROOT, path)):
        tap.result("manual of %s" % command.name, ["no %s" % path])
        return
    text = read(path)
    what = command.what[0].lower() + command.what[1:]
    tap.equal("manual of %s: name" % command.name, "text",
              "faasctl-%s - %s" % (command.name, what), man_section(text, "NAME").strip())
    subs = [found[sub] for sub in command.subs]
    tap.equal("manual of %s: synopsis" % command.name, "usage",
              [c.usage for c in [command] + subs],
              [plain(line).removesuffix("++") for line in man_section(text, "SYNOPSIS").split("\n") if line])
    if not subs:
        tap.equal("manual of %s: options" % command.name, "option", command.options,
                  man_options(man_section(text, "OPTIONS")))
    for sub in subs:
        tap.equal("manual of %s: options" % sub.name, "option", sub.options,
                  man_options(man_section(man_section(text, "OPTIONS"), sub.name, "##")))
    examples = plain(man_section(text, "EXAMPLES"))
    tap.result("manual of %s: example" % command.name,
               ["missing: %s" % c.example for c in subs or [command] if c.example not in examples])


def check_pages(tap, listed, found):
    text = read("faasctl/man/faasctl.1.scd")
    tap.equal("manual: list of commands", "command", set(listed.items()),
              set(re.findall(r"^\*faasctl-(\w+)\*\(1\)\n\t(.*)$", man_section(text, "COMMANDS"), re.M)))
    for name in listed:
        check_page(tap, found[name], found)
    pages = glob.glob(os.path.join(ROOT, "faasctl/man/*.scd")) + \
        glob.glob(os.path.join(ROOT, "libfaas*/man/*.scd"))
    names = {os.path.basename(p).removesuffix(".scd") for p in pages}
    want = {"faasctl.1", "faasin.7", "libfaasctl.3", "libfaasdomain.3"} | {"faasctl-%s.1" % name for name in listed}
    tap.equal("manual: pages", "page", want, names)
    problems = []
    for page in pages:
        for name, section in re.findall(r"\*((?:lib)?faas[\w-]*)\*\((\d)\)", read(page)):
            if "%s.%s" % (name, section) not in names:
                problems.append("%s names %s(%s)" % (os.path.basename(page), name, section))
    tap.result("manual: references", problems)
    if not shutil.which("scdoc"):
        tap.skip("manual: compiles", "no scdoc")
        return
    problems = []
    for page in pages:
        with open(page, "rb") as f:
            done = subprocess.run(["scdoc"], stdin=f, capture_output=True, check=False)
        if done.returncode or done.stderr:
            problems.append("%s: %s" % (page, done.stderr.decode()))
    tap.result("manual: compiles", problems)


def check_interface_words(tap):
    """Columns of dump, members of JSON objects, words for numbers."""
    code = read("faasctl/dump.c")
    page = read("faasctl/man/faasctl-dump.1.scd")
    table = re.search(r"headers\[\] = \{(.*?)\};", code, re.S)[1]
    for header in re.findall(r'"(.*?)"', table):
        kind, *_ = columns = header.split()
        section = man_section(man_section(page, "COLUMNS"), kind, "##")
        tap.equal("columns of %s" % kind, "columns", columns, re.findall(r"^\. _(\w+)_", section, re.M))
    for source, extra in (("json.c", ["show", "monitor", "top"]), ("status.c", ["status"]), ("top.c", ["top", "show"])):
        code = read("faasctl/" + source)
        text = "".join(read("faasctl/man/faasctl-%s.1.scd" % p) for p in extra) + page
        keys = set(re.findall(r'number\(json, "(\w+)"', code))
        for call in re.findall(r"json_pack\((.*?)\);", code, re.S):
            keys |= set(re.findall(r'"([a-z_]+)",', call))
        tap.result("JSON of %s" % source,
                   ["in no manual page: %s" % key for key in sorted(keys) if "_%s_" % key not in text])
    names = read("libfaasctl/names.c")
    monitor = read("faasctl/man/faasctl-monitor.1.scd")
    words = re.findall(r'FAASIN_EVENT_\w+\] = "(.*?)"', names)
    tap.equal("words for events", "word", set(words) | {"lost"},
              set(re.findall(r"\*([a-z-]+)\*", man_section(monitor, "EVENTS"))))
    words = re.findall(r'FAASIN_(?:CAUSE|ABORT_ON|EARLY_CLOSE|SLOW)_\w+\] = "(.*?)"', names)
    tap.result("words for causes and rules",
               ["not in faasctl-dump(1): %s" % word for word in words if '"%s"' % word not in page])


def bash(questions):
    """Asks one bash everything, since starting many takes long in an emulated guest: the
    words that complete each command line, or those of its words that take a value."""
    script = "compopt() { :; }; source %s\n" % BASH
    for kind, words in questions:
        if kind == "complete":
            quoted = " ".join("'%s'" % word for word in words)
            script += "COMP_WORDS=(faasctl %s); COMP_CWORD=%d; _faasctl; echo ${COMPREPLY[*]}\n" % (
                quoted, len(words))
        else:
            script += "".join("! _faasctl_takes_value '%s' '%s' || echo -n ' %s'\n" % (words[0], word, word)
                              for word in words[1:]) + "echo\n"
    lines = run("bash", "-c", script)[1].splitlines()
    return {question: set(line.split()) for question, line in zip(questions, lines)}


def check_bash(tap, listed, found):
    questions = [("complete", ("",)), ("complete", ("help", ""))]
    for name, command in found.items():
        if command.subs:
            questions.append(("complete", (name, "")))
        else:
            words = sorted({"-" + o[0] for o in command.options} | {"--" + o[1] for o in command.options})
            questions.append(("complete", (*name.split(), "-")))
            questions.append(("takes", (name, *words)))
    answers = bash(questions)

    def bash_words(*words):
        return answers.get(("complete", words), set())

    taking = {q[1][0]: words for q, words in answers.items() if q[0] == "takes"}
    tap.equal("bash: commands", "word", set(listed) | {"-h", "--help", "--version"}, bash_words(""))
    tap.equal("bash: help", "word", set(listed), bash_words("help", ""))
    for name, command in found.items():
        want, problems = set(), []
        if command.subs:
            tap.equal("bash: %s" % name, "word", {s.split()[1] for s in command.subs} | {"-h", "--help"},
                      bash_words(name, ""))
            continue
        for short, option, arg in command.flags():
            want |= {"-" + short, "--" + option}
            for word in ("-" + short, "--" + option):
                takes = word in taking.get(name, set())
                if takes != arg:
                    problems.append("%s %s a value" % (word, "takes" if arg else "does not take"))
        got = bash_words(*name.split(), "-")
        problems += ["missing %s" % word for word in sorted(want - got)]
        problems += ["unknown %s" % word for word in sorted(got - want)]
        tap.result("bash: options of %s" % name, problems)


def zsh_options(text):
    return {
        (m[1], m[2], m[3].rstrip().rfind("]:") > 0)
        for m in re.finditer(r"\{-(\w),--([\w-]+)\}('[^']*')", text)
    }


def check_zsh(tap, listed, found):
    text = read(ZSH)
    table = re.search(r"commands=\(\n(.*?)\n\t\)", text, re.S)[1]
    got = {tuple(x.replace("\\:", "\0").split(":", 1)) for x in re.findall(r"'(.*)'", table)}
    tap.equal("zsh: commands", "command", set(listed.items()),
              {(name, what.replace("\0", ":")) for name, what in got})
    common = re.search(r"link_options=\(\n(.*?)\n\t\)", text, re.S)[1]
    for name, command in found.items():
        if command.subs:
            continue
        section = re.search(r"^\t'%s'\)\n(.*?);;" % name, text, re.M | re.S)
        section = section[1] if section else ""
        got = zsh_options(section.replace("$link_options", common))
        if "$help" in section:
            got.add(("h", "help", False))
        tap.equal("zsh: options of %s" % name, "option", command.flags(), got)
    if shutil.which("zsh"):
        status, text = run("zsh", "-n", ZSH)
        tap.result("zsh: syntax", [text] if status or text else [])
    else:
        tap.skip("zsh: syntax", "no zsh")


def fish_lines(text):
    """The completions, with loops over words unrolled."""
    for body in re.finditer(r"^for command in (.*)\n((?:    .*\n)+)end|^(complete .*)$", text, re.M):
        if body[3]:
            yield body[3]
            continue
        for quoted, word in re.findall(r"'([^']*)'|(\S+)", body[1]):
            yield from body[2].replace("$command", quoted or word).splitlines()


def check_fish(tap, listed, found):
    text = read(FISH)
    tap.equal("fish: commands", "command", set(listed.items()),
              set(re.findall(r"-n \$none -a (\w+) -d '(.*)'", text)))
    lines = [line.strip() for line in fish_lines(text)]
    options = {}
    for line in lines:
        m = re.search(r"-n ['\"]__faasctl_using ([\w ]+)['\"] -s (\w) -l ([\w-]+)( -x)?", line)
        if m:
            options.setdefault(m[1], set()).add((m[2], m[3], bool(m[4])))
    for name, command in found.items():
        if not command.subs:
            tap.equal("fish: options of %s" % name, "option", command.flags() - {("h", "help", False)},
                      options.get(name, set()))
    if not shutil.which("fish"):
        tap.skip("fish: completes", "no fish")
        return
    _, text = run("fish", "--no-config", "-c", "source %s; complete -C 'faasctl stage add --'" % FISH)
    tap.equal("fish: completes", "word", {"--" + o[1] for o in found["stage add"].options},
              {line.split("\t")[0] for line in text.splitlines()})
    for words in ("exec wf st -- ", "exec --wait in wf st "):
        _, text = run("fish", "--no-config", "-c", "source %s; complete -C 'faasctl %staskse'" % (FISH, words))
        tap.equal("fish: completes the command after %s" % words, "word", {"taskset"},
                  {line.split("\t")[0] for line in text.splitlines()})


STAGES = "printf 'stage\\twf\\t%s\\n' a b cc"
# What asks a shell for the words that complete a list of stages, of which there are three.
LISTS = {
    "bash": ("compopt() {{ :; }}; source %s; faasctl() {{ %s; }}; COMP_WORDS=(faasctl link wf s '{0}'); "
             "COMP_CWORD=4; _faasctl; printf '%%s\\n' ${{COMPREPLY[*]}}" % (BASH, STAGES)),
    "fish": "function faasctl; %s; end; source %s; complete -C 'faasctl link wf s {0}'" % (STAGES, FISH),
    "zsh": ("faasctl() {{ %s }}; compset() {{ IPREFIX=${{(M)list##*,}}; [[ -n $IPREFIX ]] }}; "
            "compadd() {{ print -l -- $IPREFIX${{^${{(P)2}}}} }}; list='{0}'; line=(wf); "
            'eval "$(sed -n "/^_faasctl_stages()/,/^}}/p" %s)"; _faasctl_stages' % (STAGES, ZSH)),
}


def check_lists(tap):
    for shell, script in LISTS.items():
        if not shutil.which(shell):
            tap.skip("%s: lists of stages" % shell, "no %s" % shell)
            continue
        for given, want in (("", {"a", "b", "cc"}), ("b,", {"b,a", "b,cc"}), ("cc,a,", {"cc,a,b"})):
            quiet = {"bash": "--norc", "fish": "--no-config", "zsh": "-f"}[shell]
            _, text = run(shell, quiet, "-c", script.format(given))
            tap.equal("%s: stages after '%s'" % (shell, given), "word", want, set(text.split()))


def check_library(tap, name, header, version_map):
    """A library's header against its map, its manual page and what it exports."""
    text = read(header)
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    declared = set(re.findall(r"^(?:\w[\w *]*?)\b(faasctl_\w+)\(", code, re.M))
    declared = {word for word in declared if not word.endswith("_fn")}
    tap.equal("%s: version map" % name, "function", declared,
              set(re.findall(r"\b(faasctl_\w+);", read(version_map))))
    tap.equal("%s: manual" % name, "function", declared,
              set(re.findall(r"\*(faasctl_\w+)\*\(\)", read("%s/man/%s.3.scd" % (name, name)))))
    documented = set(re.findall(r"^ \* (faasctl_\w+) - ", text, re.M))
    tap.equal("%s: documentation" % name, "function", declared, documented)
    shared = os.path.join(ROOT, "build/lib/%s.so.0" % name)
    if not shutil.which("nm") or not os.path.exists(shared):
        tap.skip("%s: exports" % name, "no nm or no library built")
        return
    # Others are those of the C library that it takes the place of, and in its map.
    mapped = set(re.findall(r"\b(\w+);", read(version_map)))
    exported = set(re.findall(r" T (\w+)", run("nm", "-D", "--defined-only", shared)[1]))
    tap.equal("%s: exports" % name, "symbol", mapped, exported)


def main():
    print("TAP version 13")
    if not os.access(TOOL, os.X_OK):
        print("1..0 # SKIP no %s: run make tools" % TOOL)
        return 4
    tap = Tap()
    listed, found = commands()
    check_help(tap, listed, found)
    check_sources(tap, listed, found)
    check_pages(tap, listed, found)
    check_interface_words(tap)
    check_bash(tap, listed, found)
    check_zsh(tap, listed, found)
    check_fish(tap, listed, found)
    check_lists(tap)
    check_library(tap, "libfaasctl", "libfaasctl/faasctl.h", "libfaasctl/libfaasctl.map")
    check_library(tap, "libfaasdomain", "libfaasdomain/domain.h", "libfaasdomain/libfaasdomain.map")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
