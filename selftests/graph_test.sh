#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl graph: what is drawn in each format, and what it says when it cannot.

# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"

needs_guest

export LC_ALL=C.UTF-8
readonly point=/sys/fs/faasin wf=graph-$$
work=$(mktemp -d)

cleanup()
{
	umount "$work/full" 2>/dev/null
	[ -d /sys/module/faasin ] || insmod "$module"
	mountpoint -q "$point" || mount -t faasin none "$point"
	faasctl workflow del "$wf" >/dev/null 2>&1
	faasctl workflow del "$wf-many" >/dev/null 2>&1
	rm -rf "$work"
}
trap cleanup EXIT

# golden NAME COMMAND... <TEXT: prints TEXT
golden()
{
	local name=$1 failed=0
	shift
	cat >"$work/want"
	"$@" >"$work/out" 2>&1 </dev/null || failed=1
	tap_output=$(diff "$work/want" "$work/out") || failed=1
	tap_result "$failed" "$name"
}
# ------------------------------------------------------------------------------- text

faasctl workflow add "$wf" >/dev/null
faasctl stage add -p errors:out -p copy:out "$wf" split >/dev/null
faasctl stage add -p more:in "$wf" join >/dev/null
faasctl link "$wf" split sort join store >/dev/null
faasctl link "$wf" split:errors log >/dev/null
faasctl link "$wf" split:copy join:more >/dev/null
head -c 90000 /dev/zero >"$point/$wf/split/faasout"
head -c 1200 /dev/zero >"$point/$wf/split/errors"
head -c 40000 /dev/zero >"$point/$wf/split/copy"

golden 'branches, joins, widths' faasctl graph "$wf" <<END
workflow $wf: 5 stages, 5 links
bytes written and time that writers were blocked, since the links were made
split
┣━ copy: 40.0 kB to more, 40.0 kB held
┃  join
┃  ╎ 0 B
┃  ▼
┃  store
┠─ errors: 1.2 kB, 1.2 kB held
┃  log
┃ 90.0 kB, 90.0 kB held
▼
sort
└─ 0 B ▶ join (above)
END
golden 'the same in ASCII' env LC_ALL=C faasctl graph "$wf" <<END
workflow $wf: 5 stages, 5 links
bytes written and time that writers were blocked, since the links were made
split
#= copy: 40.0 kB to more, 40.0 kB held
#  join
#  : 0 B
#  v
#  store
#- errors: 1.2 kB, 1.2 kB held
#  log
# 90.0 kB, 90.0 kB held
v
sort
\`- 0 B -> join (above)
END
readonly long=0123456789012345678901234567890123456789012345678901234567
narrow()
{
	local i
	faasctl stage add -p "$long:out" "$wf" split && faasctl stage add -p "$long-x:in" "$wf" "$long-0" &&
		faasctl link "$wf" "split:$long" "$long-0:$long-x" || return
	head -c 50000 /dev/zero >"$point/$wf/split/$long"
	# Each hangs one further to the right than the last.
	for ((i = 1; i < 12; i++)); do
		faasctl stage add -p "side-$long:out" "$wf" "$long-$((i - 1))" &&
			faasctl link "$wf" "$long-$((i - 1))" "trunk$i" &&
			faasctl link "$wf" "$long-$((i - 1)):side-$long" "$long-$i" || return
		head -c 50000 /dev/zero >"$point/$wf/$long-$((i - 1))/faasout"
	done
	faasctl graph "$wf" >"$work/wide" && [ "$(wc -L <"$work/wide")" -le 80 ] &&
		LC_ALL=C faasctl graph "$wf" >"$work/wide" && [ "$(wc -L <"$work/wide")" -le 80 ] &&
		[ "$(grep -c '(below)$' "$work/wide")" = 1 ] &&
		[ "$(grep -Eco '(^|[^>] )0123456[0-9.]*-[0-9]+$' "$work/wide")" = 12 ]
	local status=$?
	cat "$work/wide"
	return "$status"
}
check 'no line is wider than a terminal' narrow
faasctl workflow del "$wf" >/dev/null

writer_waits()
{
	! faasctl dump "$wf" | awk -F'\t' '$1 == "link" && $22 > 0 { exit 1 }'
}

# blocked SECONDS: what a graph of that time says of a link whose writer waits
blocked()
{
	faasctl link -c 4K "$wf" fast slow >/dev/null
	head -c 8192 /dev/zero >"$point/$wf/fast/faasout" & local writer=$!
	soon writer_waits
	faasctl graph "$@" "$wf"
	faasctl workflow del "$wf" >/dev/null
	wait "$writer" 2>/dev/null
}
says 'a writer that waits has waited all the time' '4\.1 kB held, blocked (99|100) %$' blocked -i 1
says 'in that time nothing was written' '^╎ 0 B, ' blocked -i 1
says 'red in dot' 'label="0 B.nblocked: writers (99|100) %, readers 0 %", penwidth=1\.0, color=red' \
	blocked -i 1 -f dot
says 'who does not read is the bottleneck' '^slow\* bottleneck (99|100)%$' blocked -i 1
says 'and is red in dot' 'label="slow.nbottleneck (99|100)%", color=red' blocked -i 1 -f dot
says 'and named in mermaid' '\["slow<br>bottleneck (99|100)%"\]' blocked -i 1 -f mermaid
says 'red in mermaid' 'linkStyle 0 stroke-width:1\.0px,stroke:red' blocked -i 1 -f mermaid

# ------------------------------------------------------------------------ other formats

faasctl link "$wf" a b c >/dev/null
faasctl stage add -p x:out "$wf" a >/dev/null
faasctl link "$wf" a:x d >/dev/null
head -c 4000 /dev/zero >"$point/$wf/a/faasout"
head -c 2000 /dev/zero >"$point/$wf/a/x"
golden 'dot' bash -c "faasctl graph -f dot $wf | grep -v 'fontname\\|rankdir' | sed 's/.nblocked: [^\"]*//'" <<END
digraph faasin {
	subgraph cluster0 {
		label="$wf: since the links were made";
		w0s0 [label="a"];
		w0s1 [label="b"];
		w0s2 [label="c"];
		w0s3 [label="d"];
		w0s0 -> w0s1 [label="4.0 kB", penwidth=8.0];
		w0s0 -> w0s3 [label="x: 2.0 kB", penwidth=4.5];
		w0s1 -> w0s2 [label="0 B", penwidth=1.0];
	}
}
END
golden 'mermaid' bash -c "faasctl graph -f mermaid $wf | sed 's/<br>blocked: [^\"]*//'" <<END
flowchart LR
	subgraph w0 ["$wf: since the links were made"]
		w0s0["a"]
		w0s1["b"]
		w0s2["c"]
		w0s3["d"]
		w0s0 -- "4.0 kB" --> w0s1
		w0s0 -- "x: 2.0 kB" --> w0s3
		w0s1 -- "0 B" --> w0s2
	end
	linkStyle 0 stroke-width:8.0px
	linkStyle 1 stroke-width:4.5px
	linkStyle 2 stroke-width:1.0px
END
# svg FILE: is one, with four stages and three links
svg()
{
	python3 - "$1" <<'END'
import sys
import xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
kinds = [g.get("class") for g in root.iter("{http://www.w3.org/2000/svg}g")]
assert root.tag.endswith("svg") and kinds.count("node") == 4 and kinds.count("edge") == 3, kinds
END
}
drawn()
{
	faasctl graph -f svg "$wf" >"$work/stdout.svg" && svg "$work/stdout.svg"
}
written()
{
	(umask 027 && faasctl graph -f svg -o "$work/file.svg" "$wf") && svg "$work/file.svg" &&
		[ "$(stat -c %a "$work/file.svg")" = 640 ]
}
if command -v dot >/dev/null; then
	check 'svg' drawn
	check 'svg into a file' written
else
	skip 'svg' 'graphviz is not installed'
	skip 'svg into a file' 'graphviz is not installed'
fi
mkdir "$work/bin" "$work/full"
ln -s "$(command -v faasctl)" "$work/bin/faasctl"
check 'no dot' fails 2 '^faasctl: the program "dot" is missing, .*install graphviz' \
	env PATH="$work/bin" "$work/bin/faasctl" graph -f svg "$wf"
printf '#!/bin/sh\nhead -c 100\nexit 1\n' >"$work/bin/dot"
chmod +x "$work/bin/dot"
check 'a dot that fails' fails 2 '^faasctl: dot failed to draw the workflow$' \
	env PATH="$work/bin:$PATH" faasctl graph -f svg "$wf"

# ------------------------------------------------------------------------------- bad input

check 'no such workflow' fails 2 '^faasctl: no such workflow; see: faasctl show$' faasctl graph "no-$wf"
check 'no such format' fails 1 '"png" is none of text, dot, mermaid and svg' faasctl graph -f png "$wf"
check 'no time' fails 1 '"0" is not a number of seconds from 0.1 to 86400' faasctl graph -i 0 "$wf"
check 'pictures in a row' fails 1 'add --output' faasctl graph -w -f svg "$wf"
check 'no such directory' fails 2 "^faasctl: cannot write $work/no/file: No such file or directory$" \
	faasctl graph -o "$work/no/file" "$wf"
check 'a directory' fails 2 "^faasctl: cannot write $work/full: Is a directory$" faasctl graph -o "$work/full" "$wf"
check 'a full disk' fails 2 'cannot write the output: No space left' bash -c "faasctl graph $wf >/dev/full"
check 'a device stays a device' fails 2 'cannot write /dev/full: No space left' faasctl graph -o /dev/full "$wf"
device()
{
	faasctl graph -o /dev/null "$wf" && [ -c /dev/null ] && [ -c /dev/full ]
}
check 'as it does if all is well' device
piped()
{
	faasctl graph -o /dev/stdout "$wf" | grep '^workflow' && [ -L /dev/stdout ]
}
check 'a pipe by the name of standard output' piped
mount -t tmpfs -o ro none "$work/full"
check 'a disk that cannot be written' fails 2 "^faasctl: cannot write $work/full/file: Read-only file system$" \
	faasctl graph -o "$work/full/file" "$wf"
umount "$work/full"
mount -t tmpfs -o size=4k none "$work/full"
full()
{
	head -c 4096 /dev/zero >"$work/full/old" && fails 2 "cannot write $work/full/old: No space left" \
		faasctl graph -o "$work/full/old" "$wf" && [ "$(ls -A "$work/full")" = old ] &&
		[ "$(stat -c %s "$work/full/old")" = 4096 ]
}
check 'on a full disk the old file stays' full
followed()
{
	echo old >"$work/target" && ln -s target "$work/link" && faasctl graph -o "$work/link" "$wf" &&
		[ -L "$work/link" ] && grep -q '^workflow' "$work/target"
}
check 'a symbolic link stays one' followed
check 'not permitted' fails 2 '^faasctl: needs CAP_SYS_ADMIN' setpriv --bounding-set=-sys_admin faasctl graph

# watched PATTERN COMMAND...: a watcher whose object goes by COMMAND ends with that line
watched()
{
	local pattern=$1 status=0 watcher
	shift
	rm -f "$work/out"
	faasctl graph -w "$wf" >"$work/out" 2>"$work/err" & watcher=$!
	soon test -s "$work/out"
	"$@" && wait "$watcher" || status=$?
	cat "$work/err"
	[ "$status" = 2 ] && [ -s "$work/out" ] && grep -Eq -- "$pattern" "$work/err"
}
stopped()
{
	local status=0
	timeout --preserve-status -s INT 3 faasctl graph -w -o "$work/picture" "$wf" || status=$?
	[ "$status" = 0 ] && grep -q 'in the last 1 s' "$work/picture" && [ -z "$(find "$work" -name '.picture*')" ]
}
check 'watching ends well by Ctrl-C' stopped
check 'a workflow that goes while it is watched' watched '^faasctl: no such workflow' faasctl workflow del "$wf"

# -------------------------------------------------------------------------- ten thousand

# Of ten thousand links too many for dot, none too many for the others. Made by one
# program: starting ten thousand takes an emulated guest too long.
many()
{
	python3 - "$wf-many" "$(dirname "$here")/build/lib/libfaasctl.so.0" <<'END'
import ctypes
import sys
lib = ctypes.CDLL(sys.argv[2])
lib.faasctl_link_add.argtypes = [ctypes.c_void_p] + 3 * [ctypes.c_char_p] + 2 * [ctypes.c_void_p]
lib.faasctl_stage_add.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p] + 2 * [ctypes.c_void_p]
lib.faasctl_workflow_add.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
ctl = ctypes.c_void_p()
assert not lib.faasctl_open(ctypes.byref(ctl), None)
links = 0
for i in range(100):
    name = b"%s-%d" % (sys.argv[1].encode(), i)
    assert not lib.faasctl_workflow_add(ctl, name, -1, 2, None)
    stages = [b"s%d" % k for k in range(101)]
    for stage in stages:
        assert not lib.faasctl_stage_add(ctl, name, stage, None, None)
    unset = 0xffffffffffffffff
    link_options = (ctypes.c_uint64 * 5)(40, 4096, unset, unset, 0)
    for k in range(100):
        assert not lib.faasctl_link_add(ctl, name, stages[k], stages[k + 1], link_options, None), (i, k)
        links += 1
print(links, "links")
END
}
drawn_many()
{
	faasctl graph -f "$1" >"$work/many" && [ "$(grep -Ec "$2" "$work/many")" = 10000 ]
}
check 'ten thousand links' many
check 'as text' drawn_many text '^▼$'
check 'as dot' drawn_many dot ' -> '
check 'as mermaid' drawn_many mermaid ' --> '
check 'as svg' fails 2 '^faasctl: 10000 links are too many to be drawn' faasctl graph -f svg
metrics()
{
	[ "$(faasctl metrics | grep -c '^faasin_link_written_bytes_total{')" = 10000 ]
}
check 'as metrics' metrics
usage()
{
	[ "$(faasctl usage -j | jq '[.workflows[].stages[]] | length')" = 10100 ]
}
check 'as usage' usage
top()
{
	[ "$(faasctl top --once --interval 0.1 | grep -c '^[^ ]*: s[0-9]* → s')" = 10000 ]
}
check 'as top' top
says 'as latency, of which the first' '^faasctl: warning: only the first 1024 links were looked at$' \
	faasctl latency -d 0.1 --sum
fewer()
{
	for i in {0..99}; do
		faasctl workflow del "$wf-many-$i" || return
	done
}
check 'and none' fewer

faasctl link "$wf" a b >/dev/null
unload()
{
	faasctl workflow del "$wf" && umount "$point" && rmmod faasin
}
check 'a module that goes while it is watched' watched '^faasctl: (no such workflow|faasin: the module is not loaded)' unload
check 'no module' fails 2 'the module is not loaded' faasctl graph
check 'no module, usage' fails 2 'the module is not loaded' faasctl usage
check 'no module, top' fails 2 'the module is not loaded' faasctl top --once
check 'no module, latency' fails 2 'the module is not loaded' faasctl latency -d 1
check 'no module, trace' fails 2 'the module is not loaded' faasctl trace -d 1 -o "$work/file" "$wf"
finish
