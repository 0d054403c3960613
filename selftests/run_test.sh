#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl run: a whole pipeline, as a shell would run it, and nothing left of it.

# The commands' own shells expand what is in quotes.
# shellcheck disable=SC2016
# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"

needs_module
needs_cgroups

readonly wf=test-$$ point=/sys/fs/faasin cgroups=/sys/fs/cgroup/faasin
work=$(mktemp -d)

wipe()
{
	faasctl workflow del "$wf" >/dev/null 2>&1
	rmdir "$cgroups/$wf"/* "$cgroups/$wf" 2>/dev/null
	return 0
}
cleanup()
{
	wipe
	rm -rf "$work"
}
trap cleanup EXIT

nothing_left()
{
	local path
	for path in "$point/$wf" "$cgroups/$wf"; do
		[ ! -e "$path" ] || { echo "left: $path"; return 1; }
	done
}

# runs [OPTION]... LINE
runs()
{
	timeout 60 faasctl run "${@:1:$#-1}" "$wf" "${*: -1}"
}

# gives STATUS [OPTION]... LINE: and leaves nothing
gives()
{
	local want=$1 got=0
	shift
	runs "$@" || got=$?
	echo "exit status $got, expected $want"
	[ "$got" = "$want" ] && nothing_left
}

# equal LINE PIPELINE: it prints what the shell's own pipeline does
equal()
{
	local ours theirs
	ours=$(runs "$1") theirs=$(sh -c "$2")
	echo "$ours, expected $theirs"
	[ "$ours" = "$theirs" ] && nothing_left
}

same()
{
	equal "$1" "$1"
}

# ------------------------------------------------------------------------------- data

check 'two stages' same 'seq 1 1000 | wc -l'
check 'one stage' same 'echo alone'
check 'three stages, two megabytes' same 'seq 1 300000 | sort -rn | md5sum'
check 'six stages' same 'seq 1 20000 | cat | cat | cat | cat | md5sum'
check 'an early close' same 'yes | head -n 3'
check 'early closes in a row' same 'yes | cat | cat | head -n 1'
check 'a producer of nothing' same 'true | wc -c'
check 'a consumer of nothing' same 'seq 1 300000 | true'
check 'an apostrophe in a quoted parameter' same 'echo "${x:-it'\''s}" | cat'
check 'a parenthesis in a parameter' same 'y="(a"; echo ${y#(} "${y#(}" | cat'

from_outside()
{
	echo from outside | runs 'cat | tr a-z A-Z'
}
says 'the first reads what the caller'\''s standard input is' '^FROM OUTSIDE$' from_outside
only_the_first()
{
	echo secret | runs 'sleep 0.2 | cat | wc -c'
}
says 'no other does' '^0$' only_the_first
# Whoever writes to it sees the only reader go while others run. A program before
# it would hold it too.
held_by_nobody_else()
{
	local wait='for i in $(seq 100); do if [ -e gone ]; then exit 0; fi; sleep 0.1; done; exit 1'
	(
		cd "$work" || exit
		{
			yes 2>/dev/null
			touch gone
		} | (exec faasctl run "$wf" "head -c 1 >/dev/null | $wait")
	)
}
check 'no other holds it' held_by_nobody_else

# ---------------------------------------------------------------------- where they run

says 'each runs in the cgroup of its stage' "^0::/faasin/$wf/cat\$" \
	runs 'true | cat /proc/self/cgroup'
says 'and knows its ports' "^$point/$wf/second/faasin\$" \
	runs --names first,second 'true | echo $FAASIN'
says 'no descriptors are left over' '^0 1 2 3 $' \
	runs 'true | ls /proc/self/fd | tr "\n" " "'
says 'a plain command is no shell'\''s child' '^sleep$' \
	runs 'sleep 0.5 | cat /sys/fs/cgroup/faasin/'"$wf"'/sleep/cgroup.procs | xargs -I@ cat /proc/@/comm'

says 'all ports are open before a command starts' 'faasin .*from middle:faasout, open 1' \
	runs --names first,middle,last "faasctl stage show $wf last >&2 | cat | cat"

# ------------------------------------------------------------------------------ status

check 'all is well' gives 0 'true | true | true'
check 'the last fails' gives 3 'true | exit 3'
check 'the first fails' gives 4 'exit 4 | true'
check 'the last of those that fail counts' gives 5 'exit 4 | exit 5 | true'
check 'status 1' gives 1 'true | false'
for status in 125 126 127 128 255; do
	check "status $status" gives $status "true | exit $status"
done
check 'a command that does not exist' gives 127 'true | no-such-command'
check 'a file that is not executable' gives 126 'true | /etc/passwd'
check 'killed by SIGTERM' gives 143 'true | sh -c "kill \$\$"'
check 'killed by SIGKILL' gives 137 'true | sh -c "kill -9 \$\$"'
check 'SIGPIPE' gives 141 'yes | true'
check 'grep that finds nothing' gives 1 'echo x | grep y'

says 'failure: the one that failed' '^grep: exited 1$' runs 'echo x | grep y | wc -l'
says 'failure: the others' '^wc: ok$' runs 'echo x | grep y | wc -l'
says 'failure: who was killed' '^sh: killed by SIGKILL$' runs 'sh -c "kill -9 \$\$" | wc -l'
says 'failure: a plain command that was killed' '^yes: killed by SIGPIPE$' runs 'yes | head -n 1'
silent()
{
	[ -z "$(runs 'true | true' 2>&1)" ]
}
check 'success is silent' silent
one_line_each()
{
	[ "$(runs 'true | false | true' 2>&1 | wc -l)" = 3 ]
}
check 'failure is a line for each stage' one_line_each

# ------------------------------------------------------------------------------ aborts

says 'who reads from a crash hears of it' 'connection abort' runs 'sh -c "echo x; kill -9 \$\$" | cat'
says 'after all that was written' '^x$' runs 'sh -c "echo x; kill -9 \$\$" | cat'
check 'a shell that passes a crash on is one' gives 1 'sh -c "kill -9 \$\$"; exit 137 | cat'
check 'failing is no crash' gives 7 'exit 7 | cat'
says 'unless it is to be one' 'connection abort' runs --abort-on nonzero 'exit 7 | cat'
check 'nothing is' gives 137 --abort-on never 'sh -c "kill -9 \$\$" | cat'
# Neither the wrapper nor a sibling counts as a holder of another's output.
check 'a failing neighbour aborts nobody else'\''s stream' same 'seq 1 1000 | { cat; exit 9; } | md5sum'
says 'its own reader hears of it' '^cat-2: exited 1$' \
	runs --abort-on nonzero 'seq 1 9 | { cat; exit 9; } | cat'
says 'the one before it does not' '^seq: ok$' \
	runs --abort-on nonzero 'seq 1 9 | { cat; exit 9; } | cat'
says 'a drained writer is never killed' '^head: ok$' \
	runs --on-early-close drain 'head -c 3000000 /dev/zero | false'

# ------------------------------------------------------------------------------ quoting

check 'bars in quotes' same "echo 'a|b' \"c|d\" e\\|f | cat"
check 'quotes in quotes' same "echo \"'|'\" '\"|\"' | cat"
check 'bars in parentheses' same '(echo b; echo a | cat) | sort'
check 'bars in substitutions' same 'echo $(echo x | tr x y) "$(echo "z|")" | cat'
check 'bars in backquotes' same 'echo `echo x | tr x y` | cat'
check 'bars in parameters' same 'echo ${none:-a|b} | cat'
check 'over a file' same "echo new >|$work/file | cat; cat $work/file"
check 'redirections' same 'ls /none 2>&1 | wc -l'
check 'assignments' same 'A=1 B="2 3" env | grep -E "^[AB]=" | sort'
check 'lists of commands are one stage' equal 'echo b; echo a | sort' '(echo b; echo a) | sort'
check 'loops' same 'for i in 3 1 2; do echo $i; done | sort'
check 'builtins' same 'printf "%s\\n" b a | sort'
check 'so are lines' equal $'echo b\necho a | sort' '(echo b; echo a) | sort'
check 'backgrounds' same '{ echo a & wait; } | cat'

# refused PATTERN [OPTION]... LINE: status 125, one line, nothing made
refused()
{
	local pattern=$1 got=0 said
	shift
	said=$(runs "$@" 2>&1) || got=$?
	echo "status $got: $said"
	[ "$got" = 125 ] && [ "$(wc -l <<<"$said")" = 1 ] &&
		grep -Eq -- "$pattern" <<<"$said" && nothing_left
}
check 'or' refused '"\|\|" cannot' 'true || true'
check 'errors too' refused '"\|&" cannot' 'true |& true'
check 'nothing' refused 'stage 1 .* is empty' ''
check 'blanks' refused 'stage 1 .* is empty' '  '
check 'nothing before' refused 'stage 1 .* is empty' '| true'
check 'nothing behind' refused 'stage 2 .* is empty' 'true |'
check 'nothing between' refused 'stage 2 .* is empty' 'true | | true'
check 'an open quote' refused "close it with '" "echo 'x | cat"
check 'an open double quote' refused 'close it with "' 'echo "x | cat'
check 'an open parenthesis' refused 'close it with \)' '(echo x | cat'
check 'an open substitution' refused 'close it with \)' 'echo $(echo | cat'
check 'an open parameter' refused 'close it with \}' 'echo ${x | cat'
check 'an open backquote' refused 'close it with `' 'echo `x | cat'
check 'a closed parenthesis' refused '"\)" closes nothing' 'echo x) | cat'
# shellcheck disable=SC1003 # it is meant
check 'a backslash at the end' refused 'ends in a backslash' 'true | echo \'
check 'too deep' refused 'nested more than' "$(printf '(%.0s' {1..200})"
says 'no arguments' 'argument is missing' faasctl run
says 'no pipeline' 'argument is missing' faasctl run "$wf"
says 'words that are not quoted' 'unexpected argument' faasctl run "$wf" echo x
check 'not a name' refused 'name' --names a/b,c 'true | true'
check 'a bad capacity' refused 'capacity' --capacity 5000 'true | true'

# ------------------------------------------------------------------------------- names

# names WORDS LINE
names()
{
	local got
	got=$(runs "$2; exit 1" 2>&1 >/dev/null | grep -v not.found | sed -n 's/^\([A-Za-z0-9._-]*\): \(ok\|exited\|killed\).*/\1/p' | tr '\n' ' ')
	echo "$got, expected $1"
	[ "$got" = "$1 " ]
}
check 'of commands' names 'seq cat wc' 'seq 1 2 | cat | wc'
check 'of paths' names 'seq cat' '/usr/bin/seq 1 2 | /bin/cat'
check 'of the same commands' names 'cat cat-2 cat-3' 'cat </dev/null | cat | cat'
check 'behind assignments' names 'env sort' 'A=1 env | LC_ALL=C sort'
check 'in groups' names 'echo cat' '{ echo x; } | (cat)'
check 'made valid' names 'a-b true' '"a@b" | true'
check 'of what cannot be one' names 'self-2 stage' 'self | ""'
says 'given' '^last: exited 1$' runs --names first,last 'true | false'
check 'too few' refused 'has 3 stages' --names a,b 'true | true | true'
check 'too many' refused 'has 2 stages' --names a,b,c 'true | true'
check 'the same twice' refused 'names must differ' --names a,a 'true | true'

# ---------------------------------------------------------------- what was made of it

kept()
{
	runs --keep --capacity 64K --abort-on nonzero --on-early-close drain 'seq 1 9 | wc -l' &&
		faasctl show "$wf"
}
says 'kept: the link with its options' 'capacity 64K, abort on nonzero, on early close drain' kept
says 'kept: what went through it' '18 B in, 18 B out' faasctl show "$wf"
check 'kept: the cgroups' test -d "$cgroups/$wf/seq"
taken()
{
	local got=0 said
	said=$(runs 'seq 1 9 | cat' 2>&1) || got=$?
	[ "$got" = 125 ] && grep -q 'has a stage "seq" already' <<<"$said"
}
check 'a stage that exists is not used' taken
check 'and stays' faasctl stage show "$wf" seq
beside()
{
	[ "$(runs 'echo x | cat')" = x ] && faasctl stage show "$wf" seq >/dev/null &&
		! faasctl stage show "$wf" echo 2>/dev/null
}
check 'a workflow that exists is used and stays' beside
wipe

uncharged()
{
	runs --keep --uncharged 'true | true' 2>&1
	faasctl workflow show "$wf"
	wipe
}
says 'uncharged: warns' 'warning: .*UNCHARGED' uncharged
says 'uncharged: is' ', UNCHARGED$' uncharged

background()
{
	runs '{ sleep 60 & echo $! >'"$work/pid"'; } | cat' && nothing_left && ! kill -0 "$(<"$work/pid")" 2>/dev/null
}
check 'what a command left running goes with its stage' background

# stopped SIGNAL STATUS [GROUP]: GROUP is "-" to send it as a terminal does
stopped()
{
	local got=0 pid
	set -m
	faasctl run "$wf" 'sleep 60 | sleep 61 | sleep 62' 2>/dev/null &
	pid=$!
	set +m
	soon grep -q . "$cgroups/$wf/sleep-3/cgroup.procs" 2>/dev/null
	kill -"$1" -- "${3:-}$pid"
	wait "$pid" || got=$?
	echo "exit status $got, expected $2"
	[ "$got" = "$2" ] && nothing_left
}
check 'SIGTERM: all stop, nothing is left' stopped TERM 143
check 'SIGINT: all stop, nothing is left' stopped INT 130
check 'SIGHUP: all stop, nothing is left' stopped HUP 129
check 'SIGINT to the whole group' stopped INT 130 -
# after SECONDS: SIGTERM so long after the tool has begun, be it ready or not
after()
{
	local got=0 pid
	faasctl run "$wf" 'sleep 60 | sleep 60' 2>/dev/null &
	pid=$!
	# Before that it is a shell, with a shell's ideas of signals.
	until grep -qs faasctl "/proc/$pid/comm"; do
		:
	done
	sleep "$1"
	kill -TERM "$pid"
	wait "$pid" || got=$?
	echo "exit status $got"
	[ "$got" = 143 ] && nothing_left
}
for seconds in 0 0.05 0.1 0.2 0.3; do
	check "SIGTERM after $seconds s leaves nothing" after $seconds
done

twice()
{
	local first beside
	rm -f "$work/go"
	mkfifo "$work/go"
	runs "tac $work/go | sort" &
	first=$!
	soon test -d "$point/$wf/tac"
	beside=$(runs 'echo beside | wc -l')
	: >"$work/go"
	wait "$first" && [ "$beside" = 1 ] && nothing_left
}
check 'two at once in one workflow do not meet' twice

outlived()
{
	local first second got=0 other=0
	rm -f "$work"/go*
	mkfifo "$work/go1" "$work/go2"
	runs "tac $work/go1 | sort" &
	first=$!
	soon test -d "$point/$wf/tac"
	runs "head $work/go2 | wc -l" &
	second=$!
	soon test -d "$point/$wf/head"
	: >"$work/go1"
	wait "$first" || got=$?
	ls "$point/$wf"
	[ -d "$point/$wf/head" ] && [ ! -e "$point/$wf/tac" ] && [ ! -e "$cgroups/$wf/tac" ] || got=other
	: >"$work/go2"
	wait "$second" || other=$?
	echo "exit status $got and $other"
	[ "$got$other" = 00 ] && [ -d "$cgroups/$wf" ] && [ ! -e "$point/$wf/head" ] && wipe && nothing_left
}
check 'the first to end leaves the workflow to the other' outlived

finish
