#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Real containers: what they see, what they reach, how their end is told.

# The containers' own shells expand what is in quotes.
# shellcheck disable=SC2016
# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"
. "$here/container.sh"

containers_need
readonly wf=test-$$ point=/sys/fs/faasin
. "$here/container_stages.sh"

cleanup()
{
	containers_end
	faasctl workflow del "$wf" >/dev/null 2>&1
	rmdir /sys/fs/cgroup/faasin/"$wf"/* "/sys/fs/cgroup/faasin/$wf" /sys/fs/cgroup/faasin-test-$$ 2>/dev/null
}
trap cleanup EXIT

mounts=$(faasin_at /run/faasin)
says 'a mount shows the ports of the stage' '^faasin faasout self *$' \
	from 'echo $(ls /run/faasin) >/run/faasin/faasout'
says 'writes by way of /run' '^by run$' from 'echo by run >/run/faasin/faasout'
says 'writes by way of the environment' '^by name$' from 'echo by name >$FAASOUT'
says 'writes by way of self' '^by self$' from 'echo by self >/run/faasin/self/faasout'
refuse 'makes no directory' from 'mkdir /run/faasin/new'
refuse 'makes no file' from 'echo >/run/faasin/new'
refuse 'changes no mode' from 'chmod 777 /run/faasin/faasout'
refuse 'does not read its output' from 'cat /run/faasin/faasout'
refuse 'does not write its input' from 'echo >/run/faasin/faasin'
says 'nothing else of the tree is in its mounts' "^/$wf/c$" \
	from 'while read -r _ _ _ root at _; do case $at in /run/faasin) echo $root;; esac; done </proc/self/mountinfo >/run/faasin/faasout'

many()
{
	[ "$(from 'yes | head -n 500000 >/run/faasin/faasout' | wc -lc | tr -s ' ')" = ' 500000 1000000' ]
}
check 'a million bytes arrive' many

# fed COMMAND: what COMMAND prints while stage before sends a hundred thousand lines
fed()
{
	local status=0 writer
	stages >/dev/null || return
	seq 100000 >"$point/$wf/before/faasout" 2>/dev/null &
	writer=$!
	"$@" || status=$?
	# Without a reader it would wait for one.
	kill "$writer" 2>/dev/null
	wait "$writer"
	return "$status"
}

into()
{
	[ "$(fed ran "$member" 'wc -l </run/faasin/faasin')" = 100000 ]
}
check 'a hundred thousand lines go in' into

through()
{
	[ "$(fed from 'cat </run/faasin/faasin >/run/faasin/faasout' | wc -l)" = 100000 ]
}
check 'a hundred thousand lines go through' through

# -------------------------------------------------------------- other mounts

mounts=$(faasin_at /sys/fs/faasin)
says 'writes below read-only /sys' '^by sys$' from 'echo by sys >/sys/fs/faasin/faasout'
mounts=$(faasin_at /run/faasin "workflow=$wf" stage=c)
says 'names its own stage' '^named$' from 'echo named >/run/faasin/faasout'
mounts=$(faasin_at /run/faasin "workflow=$wf" stage=other)
refuse 'does not get by naming another stage' from 'true'
mounts=$(bound_at "$point/$wf/c" /run/faasin)
says 'writes by way of a bound directory' '^bound$' from 'echo bound >/run/faasin/faasout'
mounts=$(bound_at "$point" /run/faasin)
says 'writes by way of the whole tree' '^whole$' from 'echo whole >/run/faasin/self/faasout'
refuse 'does not open another stage of the whole tree' \
	from "cat /run/faasin/$wf/other/faasin"
says 'and is told that it may not' 'Permission denied' \
	ran "$member" "cat /run/faasin/$wf/other/faasin"
mounts=$(faasin_at /run/faasin)
refuse 'an outsider mounts nothing' ran /faasin-test-$$/c 'true'
mounts=$(bound_at "$point/$wf/c" /run/faasin)
refuse 'an outsider writes nothing' ran /faasin-test-$$/c 'echo x >/run/faasin/faasout'

# -------------------------------------------------------------------- the end

mounts=$(faasin_at /run/faasin)

# The reader's word on a stream whose container was killed.
killed()
{
	local name=k$$
	stages >/dev/null || return
	# Else what the last one heard would end the wait.
	rm -f "$containers/heard"
	container "$name" "$member" 'exec >/run/faasin/faasout; echo begun; sleep 1000'
	timeout 60 cat "$point/$wf/other/faasin" >"$containers/heard" 2>"$containers/error" &
	run "$name" </dev/null &
	soon test -s "$containers/heard"
	crun kill "$name" KILL
	wait
	remove "$name"
	cat "$containers/heard" "$containers/error"
}
says 'what was written before a kill arrives' '^begun$' killed
says 'a kill is no end of file' 'connection abort' killed

clean()
{
	from 'echo all of it >/run/faasin/faasout' >"$containers/heard" || return
	[ "$(cat "$containers/heard")" = 'all of it' ]
}
check 'an exit is an end of file' clean

reported()
{
	stages >/dev/null || return
	ran "$member" 'exec >/run/faasin/faasout; echo x; exit 200'
	timeout 60 cat "$point/$wf/other/faasin"
}
says 'a status of 128 or more is no end of file' 'connection abort' reported

# Which processes see a faasin mount in a mount namespace that is not this one's. A
# process that ends meanwhile (this function's own helpers do) has no namespace.
left()
{
	local own pid
	own=$(readlink /proc/self/ns/mnt)
	stat -c '%n %N' /proc/[0-9]*/ns/mnt 2>/dev/null | grep -- '->' | grep -vF "$own" |
		while IFS=/ read -r _ _ pid _; do
			if grep -q ' - faasin ' "/proc/$pid/mountinfo" 2>/dev/null; then
				echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
			fi
		done
}

mounted()
{
	[ -n "$(left)" ]
}

unmounted()
{
	! mounted
}

# A container that was killed takes a moment to go.
gone()
{
	soon unmounted || { left; return 1; }
}

seen()
{
	local name=s$$ status=1
	stages >/dev/null || return
	container "$name" "$member" 'sleep 1000'
	run "$name" </dev/null &
	soon mounted && status=0
	crun kill "$name" KILL
	wait
	remove "$name"
	return "$status"
}
check 'a mount in another namespace is found' seen
check 'no mount is left in any namespace' gone

finish
