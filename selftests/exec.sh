# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What tests of faasctl exec begin with: a workflow, and what they say of statuses and ends.

needs_module
needs_cgroups

# shellcheck disable=SC2034
readonly wf=test-$$ point=/sys/fs/faasin cgroups=/sys/fs/cgroup/faasin
work=$(mktemp -d)

cleanup()
{
	local dir
	for dir in "$cgroups/$wf"/*/; do
		echo 1 2>/dev/null >"$dir/cgroup.kill"
	done
	faasctl workflow del "$wf" >/dev/null 2>&1
	sleep 0.2
	rmdir "$cgroups/$wf"/* "$cgroups/$wf" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

# gives STATUS COMMAND...
gives()
{
	local want=$1 got=0
	shift
	timeout 30 "$@" || got=$?
	echo "exit status $got, expected $want"
	[ "$got" = "$want" ]
}

# as STAGE COMMAND...
as()
{
	local stage=$1
	shift
	timeout 30 faasctl exec "$wf" "$stage" -- "$@"
}

# opened STAGE PORT: somebody has it open
opened()
{
	faasctl stage show "$wf" "$1" | grep -q "^ *$2 .* open [1-9]"
}

# consumer STAGE [COMMAND...]: what comes of its input for the command, by default cat: "end" or "abort"
consumer()
{
	local stage=$1 error
	shift
	[ $# -gt 0 ] || set -- cat
	error=$(as "$stage" "$@" 2>&1 >/dev/null) && echo end && return
	case $error in
	*'connection abort'*) echo abort ;;
	*) echo "$error" ;;
	esac
}
