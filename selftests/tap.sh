# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# TAP for tests that are scripts. To be sourced:
#
#	. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
#	check 'what is so' COMMAND...		passes if COMMAND succeeds
#	refuse 'what is not' COMMAND...		passes if COMMAND fails
#	says 'what it says' PATTERN COMMAND...	passes if COMMAND's output, errors included,
#						has a line that matches PATTERN
#	soon COMMAND...				waits until COMMAND succeeds; fails if it does not
#	fails STATUS PATTERN COMMAND...		for check: COMMAND exits so, and all it prints is a line
#						like that on standard error. Sets files in $work
#	skip 'what is not tested' REASON
#	skip_all REASON				nothing of this can be tested here; exits
#	needs_module, needs_cgroups		skip all without root and the module, or without
#						cgroup v2
#	needs_tools TOOL...			skips all without one of them
#	needs_guest				skips all elsewhere: for tests that unload the
#						module, which somebody may be using. Sets
#						$module: the file to load again
#	finish					prints the plan; exits
#
# Whatever a command printed is shown when it did not do what it should.

tap_number=0
tap_failed=0

echo 'TAP version 13'

tap_result()
{
	tap_number=$((tap_number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_number $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_number $2"
		echo "# ${tap_output//$'\n'/$'\n# '}"
	fi
}

check()
{
	local name=$1 status=0
	shift
	tap_output=$("$@" 2>&1) || status=$?
	[ "$status" = 0 ] || tap_output+=$'\n'"exit status $status: $*"
	tap_result "$status" "$name"
}

refuse()
{
	local name=$1 status=0
	shift
	tap_output=$("$@" 2>&1) && status=1
	[ "$status" = 0 ] || tap_output+=$'\n'"succeeded: $*"
	tap_result "$status" "$name"
}

says()
{
	local name=$1 pattern=$2 status=0
	shift 2
	tap_output=$("$@" 2>&1) || true
	grep -Eq -- "$pattern" <<<"$tap_output" || status=1
	[ "$status" = 0 ] || tap_output+=$'\n'"no line like '$pattern': $*"
	tap_result "$status" "$name"
}

soon()
{
	local tries
	for ((tries = 0; tries < 300 * ${FAASIN_SLOWER:-1}; tries++)); do
		"$@" && return
		sleep 0.1
	done
	echo "never: $*, $tries times"
	return 1
}

fails()
{
	local want=$1 pattern=$2 status=0
	shift 2
	timeout 30 "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	cat "$work/out" "$work/err"
	echo "exit status $status, want $want and '$pattern'"
	[ "$status" = "$want" ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] &&
		grep -Eq -- "$pattern" "$work/err"
}

skip()
{
	tap_number=$((tap_number + 1))
	echo "ok $tap_number $1 # SKIP $2"
}

finish()
{
	echo "1..$tap_number"
	[ "$tap_failed" = 0 ]
	exit
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 4
}

needs_module()
{
	[ "$(id -u)" = 0 ] || skip_all 'needs root'
	[ -d /sys/module/faasin ] || skip_all 'the module is not loaded'
}

needs_cgroups()
{
	[ -e /sys/fs/cgroup/cgroup.controllers ] || skip_all 'cgroup v2 is not mounted'
}

needs_tools()
{
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip_all "$tool is not installed"
	done
}

needs_guest()
{
	local tree
	[ -n "${FAASIN_GUEST:-}" ] || skip_all 'runs in guests only: it unloads the module'
	needs_module
	tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
	module=${FAASIN_MODULE:-$tree/build/kmod-$FAASIN_GUEST/faasin.ko}
	[ -e "$module" ] || skip_all "no module to load again: $module does not exist"
}
