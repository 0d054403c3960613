#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl exec --thread: how functions are held off from each other, and from the process that
# they are in or came from: ends that are not theirs, ports of others, hostile ones.

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

# No death that the kernel sees aborts these.
check 'and a row' faasctl link --abort-on never "$wf" h1 h2 h3

# ---------------------------------------------------------------- ends of others

# broken_off THREADS [OPTION]...: one function makes their process end, if it is one for all: what the others
# had done is not complete
broken_off()
{
	local got=0 ends want='abort abort 255' threads=$1 host consumer
	shift
	[ "$threads" ] || want='abort end 255'
	mkfifo "$work/fifo"
	exec 9<>"$work/fifo"
	several "$@" "s1=$functions/upper.so" "a=$functions/exit_group.so $work/go" <"$work/fifo" >"$work/out" 9>&- &
	host=$!
	consumer s2 sh -c 'read -r _ && touch "$1" && exec cat' - "$work/go" >"$work/end" 9>&- &
	consumer=$!
	echo 'some words' >&9
	ends=$(consumer b)
	exec 9>&-
	wait "$consumer"
	wait "$host" || got=$?
	ends+=" $(cat "$work/end") $got"
	rm "$work/fifo" "$work/go"
	cat "$work/said"
	echo "$ends"
	[ "$ends" = "$want" ] && grep -qx 'a: exited 255' "$work/said" || return
	[ "$threads" ] || { grep -qx 's1: ok' "$work/said"; return; }
	grep -q '^faasctl: stage s1 was broken off: its process ended with status 0 before it did$' "$work/said" &&
		grep -qx 's1: exited 255' "$work/said"
}
threads=''
grep -q -m 1 -w ospke /proc/cpuinfo && threads=yes
check 'one that would end the process ends no other' broken_off ''
check 'without a filter it does, which is no end of file for others' broken_off "$threads" -f never
alone_ends_process()
{
	touch "$work/go"
	made_nothing 255 "$functions/exit_group.so" "$work/go"
	local status=$?
	rm "$work/go"
	return "$status"
}
check 'nor for itself' alone_ends_process

# dies_in_trial FILE: with the ports of others
dies_in_trial()
{
	local got=0 end
	several "alone=$functions/$1" "s1=$functions/upper.so" <<<'go on' &
	end=$(consumer s2)
	wait $! || got=$?
	cat "$work/said"
	echo "the stream: $end; exit status $got"
	[ "$end $got" = 'end 126' ]
}
for function in crash_constructor.so exit130_constructor.so; do
	check "$function ends no stream of others" dies_in_trial "$function"
done

# ends_with SIGNAL WHOM: all streams of the process end so
ends_with()
{
	local got=0 pid ends
	mkfifo "$work/fifo"
	exec 9<>"$work/fifo"
	faasctl exec --thread "$wf" "s1=$functions/upper.so" "t1=$functions/upper.so" \
		<"$work/fifo" 2>"$work/said" 9>&- &
	pid=$!
	soon pgrep -P "$pid" >/dev/null || got=1
	soon opened t1 faasout || got=1
	[ "$2" = faasctl ] || pid=$(pgrep -P "$pid")
	kill -"$1" "$pid"
	ends="$(consumer s2), $(consumer t2)"
	echo "$ends"
	[ "$ends" = 'abort, abort' ] || got=1
	exec 9>&-
	wait $! || got=$((got + $?))
	rm "$work/fifo"
	cat "$work/said"
	[ "$got" = "$3" ] && grep -qx "s1: killed by SIG$1" "$work/said" && grep -qx "t1: killed by SIG$1" "$work/said"
}
check 'their process is killed' ends_with KILL host 137
check 'a signal is passed on to it' ends_with TERM faasctl 143

# heard_late HOST [OPTION]... STAGE=FILE...: what faasctl has not heard of is not over: the function's
# process lives until then, but if the HOST dies, and even then what has ended is complete
heard_late()
{
	local pid consumer hosts=$1
	shift
	mkfifo "$work/fifo"
	exec 9<>"$work/fifo"
	faasctl exec --thread "${@:1:$#-1}" "$wf" a="$functions/upper.so" "${!#}" <"$work/fifo" 2>/dev/null 9>&- &
	pid=$!
	consumer b sh -c 'read -r _ && touch "$1" && exec cat' - "$work/go" >"$work/end" 9>&- &
	consumer=$!
	echo 'some words' >&9
	soon test -e "$work/go"
	kill -STOP "$pid"
	exec 9>&-
	# It would end within this time.
	sleep 2
	[ "$hosts" = lives ] || pkill -KILL -P "$pid"
	kill -CONT "$pid"
	wait "$consumer"
	wait "$pid" || return
	rm "$work/fifo" "$work/go"
	[ "$(tee /dev/stderr <"$work/end")" = end ]
}
check 'a function that ends while faasctl is stopped ends its stream' heard_late lives "free=$functions/once.so"
check 'and does so if its process is killed then' heard_late dies "free=$functions/once.so"

# ---------------------------------------------------------------- isolation

# The others' are open meanwhile: theirs ends only then.
has_no_others()
{
	local got=0
	mkfifo "$work/fifo"
	exec 9<>"$work/fifo"
	several "s1=$functions/upper.so" "a=$functions/peek.so" "t1=$functions/upper.so" <"$work/fifo" 9>&- &
	[ "$(consumer b)" = end ] || got=200
	exec 9>&-
	wait $! || got=$?
	rm "$work/fifo"
	cat "$work/said"
	[ "$(consumer s2) $(consumer t2)" = 'end end' ] && [ "$got" = 0 ]
}
check 'none has ports of the others' has_no_others
says 'a hostile function runs' '^SOME WORDS$' bash -c '
	echo some words | faasctl exec --thread --isolation hostile "$1" alone -- "$2" 2>/dev/null' - "$wf" "$functions/upper.so"
says 'several hostile ones run, from one to the next' '^SOME WORDS$' bash -c '
	echo some words | faasctl exec --thread -i hostile "$1" h1="$2" h2="$2" h3="$2" 2>/dev/null' - "$wf" "$functions/upper.so"
says 'they say that they are processes' '^faasctl: stages alone, free run as processes, not as threads: keys do not hold what may be hostile$' \
	faasctl exec --thread -i hostile "$wf" "alone=$functions/once.so" "free=$functions/once.so" </dev/null
says 'one says it, too' '^faasctl: stage alone runs as a process, not as a thread: keys do not hold what may be hostile$' \
	faasctl exec --thread -i hostile "$wf" alone "$functions/once.so"
says 'as JSON, if asked to' \
	'^\[\{"stage":"alone","isolation":"hostile","thread":false,"why":"keys do not hold what may be hostile","filter":true\},\{"stage":"free",.*\}\]$' \
	faasctl exec --thread -j -i hostile "$wf" "alone=$functions/once.so" "free=$functions/once.so" </dev/null
json='true,"why":null'
grep -q -m 1 -w ospke /proc/cpuinfo || json='false,"why":"this machine, or its kernel, has no protection keys to give"'
says 'of careful ones, too' '^\[\{"stage":"alone","isolation":"careful","thread":'"$json"',"filter":true\}\]$' \
	faasctl exec --thread -j -i careful "$wf" alone "$functions/once.so"
says 'and that they have no filter' '^\[\{"stage":"alone","isolation":"careful","thread":'"$json"',"filter":false\}\]$' \
	faasctl exec --thread -j -f never "$wf" alone "$functions/once.so"
check 'a hostile one does not get at the processes it came from' gives 0 \
	faasctl exec --thread -i hostile "$wf" alone "$functions/reach.so"
check 'each of several' gives 0 \
	faasctl exec --thread -i hostile "$wf" "alone=$functions/reach.so" "free=$functions/reach.so"
check 'nor does a careful one' gives 0 faasctl exec --thread "$wf" alone "$functions/reach.so"
check 'but without a filter: nothing holds it' gives 14 faasctl exec --thread -f never "$wf" alone "$functions/reach.so"
# reopens WANT [OPTION]...: ports of others, by the process's other threads
reopens()
{
	local want=$1 got=0
	shift
	# The others still have theirs when it looks: they have no end before, however slow this kernel is.
	sleep $((3 * ${FAASIN_SLOWER:-1})) | timeout $((60 * ${FAASIN_SLOWER:-1})) faasctl exec --thread "$@" "$wf" "a=$functions/reopen.so" "s1=$functions/upper.so" || got=$?
	echo "exit status $got"
	[ "$(consumer b) $(consumer s2)" = 'end end' ] && [ "$got" = "$want" ]
}
check 'one that looks for ports of others in its process finds none' reopens 0
check 'but without a filter, on a thread' reopens "$([ "$threads" ] && echo 1 || echo 0)" -f never
says 'a program is not started by one' '^popen: Operation not permitted$' \
	faasctl exec --thread "$wf" alone "$functions/start.so"
says 'but without a filter' '^a program$' faasctl exec --thread -f never "$wf" alone "$functions/start.so"
without_landlock=("$here/without.py" landlock_create_ruleset)
unfiltered='^faasctl: no filter holds what functions ask of the system: this kernel lacks seccomp or Landlock, or has another /proc$'
says 'it is said if there is no filter' "$unfiltered" "${without_landlock[@]}" \
	faasctl exec --thread "$wf" alone "$functions/once.so"
check 'and it runs' gives 0 "${without_landlock[@]}" faasctl exec --thread "$wf" alone "$functions/once.so"
says 'it is not said if none is wanted' '^no line$' bash -c '
	said=$("$@" 2>&1)
	[[ $said = *filter* ]] || echo no line' - "${without_landlock[@]}" faasctl exec --thread -f never "$wf" alone "$functions/once.so"
says 'a filter that has to be and cannot' \
	'^faasctl: functions cannot have filters: this kernel has no Landlock, or it is not let through$' \
	"${without_landlock[@]}" faasctl exec --thread --filter always "$wf" alone "$functions/once.so"
check 'is no success' gives 125 "${without_landlock[@]}" \
	faasctl exec --thread --filter always "$wf" alone "$functions/once.so"
says 'a hostile one that cannot be confined' \
	'^faasctl: stage alone cannot be confined: this kernel has no Landlock, or it is not let through$' \
	"${without_landlock[@]}" faasctl exec --thread -i hostile "$wf" alone "$functions/once.so"
check 'does not run' gives 125 "${without_landlock[@]}" faasctl exec --thread -i hostile "$wf" alone "$functions/once.so"
without_restrict=("$here/without.py" landlock_restrict_self)
says 'one that cannot be made after all' '^faasctl: stage alone cannot have a filter: Function not implemented$' \
	"${without_restrict[@]}" faasctl exec --thread "$wf" alone "$functions/once.so"
check 'is no function that ran' gives 125 "${without_restrict[@]}" faasctl exec --thread "$wf" alone "$functions/once.so"
check 'one that has to be and can' gives 0 faasctl exec --thread --filter always "$wf" alone "$functions/once.so"
says 'another filter' '^faasctl: "sometimes" is none of auto, always and never; see: faasctl exec --help$' \
	faasctl exec --thread -f sometimes "$wf" alone ./f.so
# The process that runs them may say something meanwhile.
check 'how it runs is said in one piece' "$here/whole_lines.py" \
	faasctl exec --thread -i hostile "$wf" alone "$functions/once.so"
check 'and so as JSON' "$here/whole_lines.py" faasctl exec --thread -i hostile -j "$wf" alone "$functions/once.so"
says 'no filter for a hostile one' '^faasctl: what may be hostile is always confined: leave out --filter; ' \
	faasctl exec --thread -f never -i hostile "$wf" alone ./f.so
# marks ISOLATION: what its constructor could do, and the function itself
marks()
{
	rm -f "$work/mark"
	FAASIN_TEST_MARK=$work/mark timeout 60 faasctl exec --thread -i "$1" "$wf" alone "$functions/reach_constructor.so" || return
	cat "$work/mark"
}
hostile_constructor()
{
	[ "$(marks hostile 2>&1 | grep -v ' runs as a process, ')" = $'constructor 0\nfunction 0' ]
}
check 'the constructor of a hostile one runs once, where it is confined' hostile_constructor
careful_constructor()
{
	local said
	said=$(marks careful 2>/dev/null)
	echo "$said"
	[ "$(grep -c '^constructor 14$' <<<"$said") $(grep -c '^function 0$' <<<"$said")" = '2 1' ]
}
check 'that of a careful one twice, and nothing holds it, but the function' careful_constructor
for function in crash_constructor exit_constructor exit0_constructor exit130_constructor no_main undefined; do
	check "$function.so is no hostile function" gives 126 faasctl exec --thread -i hostile "$wf" alone -- "$functions/$function.so"
done
says 'it is told why' '^faasctl: stage alone: .*/no_main.so has no function faas_main$' \
	faasctl exec --thread -i hostile "$wf" alone -- "$functions/no_main.so"
says 'or how' '^faasctl: stage alone: .*/exit_constructor.so: a constructor ended the process with status 5$' \
	faasctl exec --thread -i hostile "$wf" alone -- "$functions/exit_constructor.so"
check 'a hostile function that is not there' gives 127 faasctl exec --thread -i hostile "$wf" alone -- "$functions/none.so"
# with_room MAX COMMAND...: the stages' cgroups take no more processes and threads
with_room()
{
	local max=$1 dir status=0
	shift
	for dir in "${cgroups%/*}" "$cgroups" "$cgroups/$wf"; do
		echo +pids >"$dir/cgroup.subtree_control" || return
	done
	echo "$max" | tee "$cgroups/$wf"/{a,b}/pids.max >/dev/null || return
	"$@" || status=$?
	echo max | tee "$cgroups/$wf"/{a,b}/pids.max >/dev/null
	return "$status"
}
# There is none for its process, or for a thread that waits for that, or for one that calls it.
isolation=hostile lines=2
for max in 1 2 3; do
	check "a hostile one without room, $max: there is no stream" with_room "$max" made_nothing 125 "$functions/upper.so"
	check "a hostile one without room, $max: what waits stays" with_room "$max" did_nothing 125 "$functions/upper.so"
done
isolation=careful
# The first one would write more than its link to the second one holds.
linked_without_room()
{
	local got=0
	seq 1 400000 >"$work/in"
	with_room "$1" several "a=$functions/upper.so" "b=$functions/upper.so" <"$work/in" >"$work/out" || got=$?
	cat "$work/said"
	echo "exit status $got"
	[ "$(consumer b)" = abort ] && [ "$got" = 125 ] && grep -q '^faasctl: .*stage a: Resource temporarily unavailable$' "$work/said" &&
		grep -qx 'a: exited 125' "$work/said" && grep -qx 'b: exited 125' "$work/said"
}
check 'two linked ones without room do not wait for each other' linked_without_room 2
hostile_dies()
{
	local pid got=0 ends
	mkfifo "$work/fifo"
	exec 9<>"$work/fifo"
	faasctl exec --thread -i hostile "$wf" "h1=$functions/upper.so" "h2=$functions/upper.so" "h3=$functions/upper.so" \
		<"$work/fifo" >"$work/out" 2>"$work/said" 9>&- &
	pid=$!
	soon eval '[ "$(pgrep -c -P "$pid")" = 3 ]' || got=1
	kill -KILL "$(pgrep -P "$pid" | head -1)"
	timeout 60 tail --pid="$pid" -f /dev/null || kill "$pid"
	wait "$pid" || got=$((got + $?))
	exec 9>&-
	rm "$work/fifo"
	cat "$work/said"
	echo "exit status $got"
	[ "$got" = 137 ] && grep -qx 'h1: killed by SIGKILL' "$work/said" && grep -qx 'h2: ok' "$work/said" &&
		grep -qx 'h3: ok' "$work/said"
}
check 'a hostile one of which the process is killed keeps nobody waiting' hostile_dies
check 'a hostile one that ends while faasctl is stopped ends its stream' heard_late lives -i hostile "free=$functions/once.so"
check 'and does so if its host is killed then' heard_late dies -i hostile "free=$functions/once.so"
hostile_faults()
{
	local got=0
	several -i hostile "a=$functions/fault.so SEGV" "alone=$functions/upper.so" <<<'and others' >"$work/out" &
	[ "$(consumer b)" = abort ] || return
	wait $! || got=$?
	cat "$work/said"
	[ "$got" = 139 ] && [ "$(cat "$work/out")" = 'AND OTHERS' ] && grep -qx 'a: killed by SIGSEGV' "$work/said"
}
check 'a hostile one that crashes aborts its stream alone' hostile_faults
hostile_stays()
{
	local got=0 left
	timeout 60 faasctl exec --thread -i hostile "$wf" alone "$functions/stay.so" </dev/null || got=$?
	left=$(cat "$cgroups/$wf/alone/cgroup.procs")
	echo 1 >"$cgroups/$wf/alone/cgroup.kill"
	echo "exit status $got; left: $left"
	[ "$got" = 0 ] && [ -z "$left" ]
}
check 'one that says that it is over does not outlive its stage' hostile_stays
check 'what a hostile one returns is the status' gives 9 faasctl exec --thread -i hostile "$wf" alone "$functions/upper.so" 9 \
	</dev/null
says 'what a hostile one printed and cannot be written is told' '^faasctl: stage alone: cannot write what was printed: ' bash -c '
	faasctl exec --thread -i hostile "$1" alone "$2" 0 >/dev/full' - "$wf" "$functions/print.so"
check 'and is no success if it ends by exit()' gives 255 bash -c '
	faasctl exec --thread -i hostile "$1" alone "$2" 0 >/dev/full' - "$wf" "$functions/print.so"
says 'another isolation' '^faasctl: "friendly" is none of careful and hostile; see: faasctl exec --help$' \
	faasctl exec --thread -i friendly "$wf" alone ./f.so
says 'isolation of a command' '^faasctl: --filter, --isolation and --json are about functions: add --thread; ' \
	faasctl exec -i hostile "$wf" alone true

finish
