# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What tests of faasctl exec --thread share, behind exec.sh: functions as stages.

# Some of it is from those that source this, or for them.
# shellcheck disable=SC2016,SC2034,SC2154

# Stages: a to b, s1 to s2, t1 to t2, linked; alone and free, not linked.
check 'stages are made' bash -c '
	faasctl link "$1" a b && faasctl link "$1" s1 s2 && faasctl link "$1" t1 t2 &&
		faasctl stage add "$1" alone && faasctl stage add "$1" free' - "$wf"

functions=$here/../build/selftests/functions
# What faasctl exec --thread is told besides.
isolation=careful
# thread STAGE FILE [ARGUMENT]...
thread()
{
	local stage=$1
	shift
	timeout 60 faasctl exec --thread --isolation "$isolation" "$wf" "$stage" -- "$@"
}

# How many lines it says if the function cannot run: one more if it were no thread.
lines=1
grep -q -m 1 -w ospke /proc/cpuinfo || lines=2
# did_nothing STATUS FILE: the next stage hears that nothing came, and the input is not used up
did_nothing()
{
	local got=0
	echo 'kept words' | as a cat || return
	thread b "$2" 2>"$work/said" || got=$?
	cat "$work/said"
	echo "exit status $got, expected $1"
	[ "$got" = "$1" ] && [ "$(wc -l <"$work/said")" = "$lines" ] && [ "$(as b cat)" = 'kept words' ]
}
# made_nothing STATUS FILE [ARGUMENT]...
made_nothing()
{
	local want=$1 got=0
	shift
	thread a "$@" 2>"$work/said" </dev/null &
	[ "$(consumer b)" = abort ] || return
	wait $! || got=$?
	cat "$work/said"
	[ "$got" = "$want" ]
}

# several [-i ISOLATION] STAGE=FILE...: its errors without the line that says that they are processes
several()
{
	local got=0 options=()
	while [[ $1 = -* ]]; do
		options+=("$1" "$2")
		shift 2
	done
	timeout 100 faasctl exec --thread "${options[@]}" "$wf" "$@" 2>"$work/errors" || got=$?
	grep -v ' run as processes, not as threads: ' "$work/errors" >"$work/said"
	return "$got"
}
# they_say PATTERN STAGE=FILE...
they_say()
{
	local pattern=$1
	shift
	several "$@" </dev/null >/dev/null
	cat "$work/said"
	tr '\n' ';' <"$work/said" | grep -Eq "$pattern"
}
