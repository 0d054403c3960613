#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl exec --thread: functions as stages, one or several in a process; what they are
# given, and how they end.

# The commands' own shells expand what is in quotes.
# shellcheck disable=SC2016
# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"
. "$here/exec.sh"
. "$here/exec_functions.sh"

# More stages: p to q to r, c1 to c24, n1 to n2, e1 to e2, linked.
check 'and more in a row' faasctl link "$wf" p q r
check 'and a long row' bash -c 'faasctl link "$1" c{1..24}' - "$wf"
check 'and pairs with other rules' bash -c '
	faasctl link --abort-on never "$1" n1 n2 && faasctl link --abort-on nonzero "$1" e1 e2' - "$wf"

# ---------------------------------------------------------------- one

thread_runs()
{
	[ "$(echo 'some words' | thread alone "$functions/upper.so" 2>/dev/null)" = 'SOME WORDS' ]
}
check 'a function runs as a stage' thread_runs
says 'a function says that it is a process only where there are no keys' '^(stage alone|nothing)$' bash -c '
	said=$(faasctl exec --thread "$1" alone -- "$2" 2>&1 </dev/null)
	keys=$(grep -c -m 1 -w ospke /proc/cpuinfo)
	[ "$keys" = 1 ] && [ -z "$said" ] && echo nothing
	[ "$keys" = 0 ] && [[ $said = "faasctl: stage alone runs as a process, not as a thread: "* ]] && echo stage alone' - \
	"$wf" "$functions/upper.so"
thread_linked()
{
	echo 'linked words' | faasctl exec "$wf" a -- cat &
	local text
	text=$(thread b "$functions/upper.so" 2>/dev/null)
	wait
	[ "$text" = 'LINKED WORDS' ]
}
check 'a function reads its port' thread_linked
check 'what it returns is the status' gives 9 faasctl exec --thread "$wf" alone -- "$functions/upper.so" 9
thread_crashes()
{
	thread a "$functions/crash.so" 2>"$work/said" &
	local got=0
	[ "$(consumer b)" = abort ] || return
	wait $! || got=$?
	cat "$work/said"
	[ "$got" = 139 ] && grep -q '^faasctl: stage a was stopped: ' "$work/said"
}
check 'a function that crashes aborts its stream' thread_crashes
says 'a function that writes the key register' \
	'^faasctl: .*/key_write.so cannot share a process: wrpkru at byte [0-9]+; see: faasctl scan$' \
	thread alone "$functions/key_write.so"
for function in crash_constructor.so exit_constructor.so exit0_constructor.so no_main.so key_write.so; do
	check "$function is no function: what waits stays" did_nothing 126 "$functions/$function"
	check "$function is no function: there is no stream" made_nothing 126 "$functions/$function"
done
head -c 4196 "$functions/upper.so" >"$work/short.so"
cp "$functions/upper.so" "$work/other.so"
# Its machine: an AArch64.
printf '\xb7\0' | dd of="$work/other.so" bs=1 seek=18 conv=notrunc status=none
says 'a file that was cut' '^faasctl: stage alone: .*/short.so is cut short: ' thread alone "$work/short.so"
says 'one for another machine' \
	'^faasctl: stage alone: .*/other.so is for another machine: only x86-64 is known here$' thread alone "$work/other.so"
for function in short other; do
	check "$function.so is no function: what waits stays" did_nothing 126 "$work/$function.so"
done
check 'a function that is not there: what waits stays' did_nothing 127 "$functions/none.so"
check 'a function that is not there: there is no stream' made_nothing 127 "$functions/none.so"
says 'a function without a path' '^faasctl: say where function "upper.so" is: ./upper.so$' thread alone upper.so
says 'a library that a function loads lazily is bound all the same' '^LATE WORDS$' bash -c '
	echo late words | faasctl exec --thread "$1" alone -- "$2" 2>/dev/null' - "$wf" "$functions/load_lazily.so"
says 'what a function prints is in its stream' '^printed by alone$' bash -c '
	faasctl exec --thread "$1" alone -- "$2" 2>/dev/null' - "$wf" "$functions/print.so"
check 'what it ends with by exit() is the status' gives 5 faasctl exec --thread "$wf" alone -- "$functions/print.so" 5
check 'what it printed and cannot be written is no success' gives 255 bash -c '
	faasctl exec --thread "$1" alone -- "$2" >/dev/full' - "$wf" "$functions/print.so"
check 'nor if it ends by exit()' gives 255 bash -c '
	faasctl exec --thread "$1" alone -- "$2" 0 >/dev/full' - "$wf" "$functions/print.so"
says 'and it says so' 'faasctl: stage alone: cannot write what was printed: No space left on device$' bash -c '
	faasctl exec --thread "$1" alone -- "$2" >/dev/full' - "$wf" "$functions/print.so"
check 'one that crashes in the middle of printing' gives 139 faasctl exec --thread "$wf" alone -- "$functions/print_nowhere.so"
says 'one has the paths of its ports in its environment' "^$point/$wf/alone/faasout\$" \
	faasctl exec --thread "$wf" alone -- "$functions/env.so" FAASOUT
traced=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
takes_traceparent()
{
	TRACEPARENT=$traced as a echo x
	env -u TRACEPARENT timeout 60 faasctl exec --thread -t "$wf" "b=$functions/env.so TRACEPARENT"
}
says 'one can have the traceparent of its input' "^$traced\$" takes_traceparent
check 'what is no status is no success' gives 255 faasctl exec --thread "$wf" alone -- "$functions/upper.so" 256 \
	</dev/null
says 'without what runs functions' '^faasctl: this faasctl was built without what runs functions' bash -c '
	cp "$(command -v faasctl)" "$1/faasctl" && "$1/faasctl" exec --thread wf alone -- ./f.so' - "$work"
# Its trial went well.
ends_host()
{
	local got=0
	rm -f "$work/mark"
	FAASIN_TEST_MARK=$work/mark thread alone "$functions/exit_second.so" 2>"$work/said" </dev/null || got=$?
	cat "$work/said"
	[ "$got" = 125 ] && grep -qx 'faasctl: stage alone did not begin: its process ended with status 5' "$work/said"
}
check 'a constructor that ends the process is no function that returned' ends_host
check 'a function that cannot be loaded' gives 126 \
	faasctl exec --thread "$wf" alone -- "$functions/crash_constructor.so"

# ---------------------------------------------------------------- several

says 'several run in one process, from one to the next' '^SOME WORDS$' bash -c '
	echo some words | faasctl exec --thread "$1" p="$2" q="$2" r="$2" 2>/dev/null' - "$wf" "$functions/upper.so"
says 'several say that they are processes only where there are no keys' '^(stages|nothing)$' bash -c '
	said=$(faasctl exec --thread "$1" p="$2" q="$2" r="$2" 2>&1 </dev/null)
	keys=$(grep -c -m 1 -w ospke /proc/cpuinfo)
	[ "$keys" = 1 ] && [ -z "$said" ] && echo nothing
	[ "$keys" = 0 ] && [[ $said = "faasctl: stages p, q, r run as processes, not as threads: "* ]] && echo stages' - \
	"$wf" "$functions/upper.so"
# More than there are keys, each of which waits for the one before it.
long_row()
{
	local words=() i
	for i in {1..24}; do
		words+=("c$i=$functions/upper.so")
	done
	seq 1 20000 | tr '0-9' 'a-j' >"$work/in"
	several "${words[@]}" <"$work/in" >"$work/out" && tr a-j A-J <"$work/in" | cmp - "$work/out"
}
check 'more functions than keys pass on more than their links hold' long_row
# Without keys, those that begin make descriptors while others end.
all_end()
{
	local words=() i
	for i in {1..24}; do
		words+=("c$i=$functions/once.so")
	done
	several "${words[@]}" </dev/null
	local status=$?
	cat "$work/said"
	return "$status"
}
check 'many end while others begin' all_end
check 'the status is that of the last one that failed' gives 9 faasctl exec --thread "$wf" \
	"p=$functions/upper.so" "q=$functions/upper.so 9" "r=$functions/upper.so" </dev/null
check 'that of the last one is not hidden by others' gives 7 faasctl exec --thread "$wf" \
	"p=$functions/upper.so 9" "q=$functions/upper.so" "r=$functions/upper.so 7" </dev/null
check 'and what became of each is told' they_say '^p: ok;q: exited 9;r: exited 7;$' \
	"p=$functions/upper.so" "q=$functions/upper.so 9" "r=$functions/upper.so  7 more"
says 'what they print gets out' '^printed by (aloneprinted by b|bprinted by alone)$' bash -c '
	faasctl exec --thread "$1" "alone=$2" "b=$2" 2>/dev/null </dev/null' - "$wf" "$functions/print.so"
check 'stages of one file have data of their own each' gives 0 faasctl exec --thread "$wf" \
	"alone=$functions/once.so" "p=$functions/once.so" "b=$functions/once.so"

# faults SIGNAL STATUS: it is told of by name; its stream aborts while others of its process go on
# goes_alone STREAM STATUS FILE: its stream ends like that while others of its process go on
goes_alone()
{
	local got=0 end running=yes
	mkfifo "$work/fifo"
	exec 9<>"$work/fifo"
	several "a=$3" "alone=$functions/upper.so" <"$work/fifo" >"$work/out" 9>&- &
	end=$(consumer b)
	kill -0 $! || running=no
	echo 'words after that' >&9
	exec 9>&-
	wait $! || got=$?
	rm "$work/fifo"
	cat "$work/said"
	echo "the stream: $end; running then: $running; exit status $got"
	[ "$end $running $got" = "$1 yes $2" ] && [ "$(cat "$work/out")" = 'WORDS AFTER THAT' ]
}
faults()
{
	goes_alone abort "$2" "$functions/fault.so $1" &&
		grep -q '^faasctl: stage a was stopped: ' "$work/said" &&
		grep -qx "a: killed by SIG$1" "$work/said" && grep -qx 'alone: ok' "$work/said"
}
check 'a function that touches what is not there ends alone' faults SEGV 139
check 'a function that divides by zero ends alone' faults FPE 136
check 'a function that executes no instruction ends alone' faults ILL 132
check 'a function that reads past a file ends alone' faults BUS 135
check 'a function that aborts ends alone' faults ABRT 134
check 'a function that writes for nobody ends alone' faults PIPE 141

says 'several have none of the paths in their environment' '^none$' env FAASOUT=x faasctl exec --thread "$wf" \
	"alone=$functions/env.so FAASOUT" "free=$functions/once.so"
says 'what several printed and cannot be written is told' '^faasctl: (stage alone: )?cannot write what was printed: No space left on device$' \
	bash -c 'faasctl exec --thread "$1" "alone=$2" "free=$2" >/dev/full' - "$wf" "$functions/print.so"
check 'several of which one crashes in the middle of printing' gives 139 faasctl exec --thread "$wf" \
	"alone=$functions/print_nowhere.so" "free=$functions/once.so"
check 'a stream ends with its function, not with the process' goes_alone end 0 "$functions/once.so"
check 'and so if that failed' goes_alone end 2 "$functions/fault.so"

# rule STREAM STAGE FILE: how the stream of $3 ends, by its link's rule
rule()
{
	local got
	several "$2=$3" "alone=$functions/once.so" </dev/null &
	got=$(consumer "${2%1}2")
	wait $!
	echo "the stream: $got"
	[ "$got" = "$1" ]
}
check 'with --abort-on nonzero a failure aborts' rule abort e1 "$functions/fault.so"
check 'and success does not' rule end e1 "$functions/once.so"
check 'with --abort-on never not even a crash does' rule end n1 "$functions/fault.so SEGV"

one_is_none()
{
	local got=0
	several "p=$functions/no_main.so" "alone=$functions/upper.so" <<<'go on' >"$work/out" || got=$?
	cat "$work/said"
	[ "$got" = 126 ] && [ "$(cat "$work/out")" = 'GO ON' ] && grep -qx 'p: exited 126' "$work/said"
}
check 'one that cannot be loaded keeps the others from nothing' one_is_none
says 'a second one of one file that cannot be loaded' \
	"^faasctl: stage free: .*/only_at_home.so, for one more stage, as a copy: .*: a constructor ended the process with status 5\$" \
	faasctl exec --thread "$wf" "alone=$functions/only_at_home.so" "free=$functions/only_at_home.so"
check 'keeps the first from nothing' they_say '^faasctl: stage free: .*;alone: ok;free: exited 126;$' \
	"alone=$functions/only_at_home.so" "free=$functions/only_at_home.so"
says 'too few descriptors' '^faasctl: .*Too many open files' bash -c '
	ulimit -n 12 && exec faasctl exec --thread "$1" c1="$2" c2="$2" c3="$2" c4="$2" c5="$2"' - "$wf" "$functions/once.so"
one_did_nothing()
{
	local got=0
	echo 'kept words' | as a cat || return
	several "b=$functions/no_main.so" "alone=$functions/upper.so" </dev/null || got=$?
	[ "$got" = 126 ] && [ "$(as b cat)" = 'kept words' ]
}
check 'what waits for it stays' one_did_nothing
# Who reads in its place, and leaves early, leaves nobody behind that the writer would wait for.
one_is_replaced()
{
	local host writer early=0 running=yes
	rm "$work/errors"
	mkfifo "$work/fifo"
	exec 9<>"$work/fifo"
	several "b=$functions/no_main.so" "alone=$functions/upper.so" <"$work/fifo" >/dev/null 9>&- &
	host=$!
	soon grep -q no_main.so "$work/errors"
	as a sh -c 'yes | head -c 8M' 9>&- &
	writer=$!
	timeout 30 head -c 1 <"$point/$wf/b/faasin" 9>&- >/dev/null
	wait "$writer" || early=$?
	kill -0 "$host" || running=no
	exec 9>&-
	wait "$host"
	rm "$work/fifo"
	echo "the writer: $early; running then: $running"
	[ "$running" = yes ] && [ "$early" != 124 ]
}
check 'who reads in its place is the only one' one_is_replaced
check 'one that is not there' gives 127 faasctl exec --thread "$wf" "alone=$functions/none.so" "p=$functions/once.so"

says 'a word that is no function' '^faasctl: .*"other" is not STAGE=FILE; see: faasctl exec --help$' \
	faasctl exec --thread "$wf" a=./f.so other
says 'functions without --thread' '^faasctl: functions as stages need --thread; see: faasctl exec --help$' \
	faasctl exec "$wf" a=./f.so
says 'a stage without a function' '^faasctl: .*the function of stage "b" is missing; see: faasctl exec --help$' \
	faasctl exec --thread "$wf" a=./f.so 'b= '
says 'a stage with two' '^faasctl: .*stage "a" has two functions; see: faasctl exec --help$' \
	faasctl exec --thread "$wf" a=./f.so b=./f.so a=./g.so
says 'a traceparent for several' '^faasctl: .*leave out --traceparent; see: faasctl exec --help$' \
	faasctl exec --thread -t "$wf" a=./f.so b=./f.so
says 'several, one without a path' '^faasctl: say where function "f.so" is: ./f.so$' \
	faasctl exec --thread "$wf" "a=$functions/upper.so" b=f.so
says 'a stage that does not exist' '^faasctl: no such stage.*faasctl stage add' faasctl exec --thread "$wf" \
	"a=$functions/upper.so" "none=$functions/upper.so"
check 'is status 125' gives 125 faasctl exec --thread "$wf" "a=$functions/upper.so" "none=$functions/upper.so"
check 'and a word that is no function is' gives 125 faasctl exec --thread "$wf" a=./f.so other

finish
