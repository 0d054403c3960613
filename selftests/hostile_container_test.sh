#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A real container that was taken over: what it reaches with what a runtime leaves it, and
# that killing it frees the module, whatever it held. See also hostile_test.c.

# The containers' own shells expand what is in quotes.
# shellcheck disable=SC2016
# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"
. "$here/container.sh"

needs_guest
containers_need
readonly wf=test-$$ victim=test-$$-victim point=/sys/fs/faasin

cleanup()
{
	containers_end
	[ -d /sys/module/faasin ] || insmod "$module"
	mountpoint -q "$point" || mount -t faasin -o nosuid,nodev,noexec none "$point"
	faasctl workflow del "$wf" >/dev/null 2>&1
	faasctl workflow del "$victim" >/dev/null 2>&1
	rmdir /sys/fs/cgroup/faasin/{"$wf","$victim"}/* /sys/fs/cgroup/faasin/{"$wf","$victim"} 2>/dev/null
}
trap cleanup EXIT

# The runtime removes a container's cgroup with it: the stage gets a new one.
stages()
{
	faasctl workflow add "$wf" && faasctl stage add "$wf" c && faasctl stage add "$wf" other &&
		faasctl link "$wf" c other && faasctl link "$victim" v w
}
readonly member=/faasin/$wf/c

# from COMMAND: runs it as stage c
from()
{
	stages >/dev/null && ran "$member" "$1"
}

faasctl link "$victim" v w >/dev/null
whole=$(bound_at "$point" /run/whole)
mounts=$(faasin_at /run/faasin)$whole

check 'its own port opens' from 'echo mine >/run/faasin/faasout'
check 'its own port opens in the whole tree' from 'echo mine >/run/whole/self/faasout'
for port in v/faasout w/faasin; do
	says "the victim's $port does not open" 'Permission denied' \
		from "exec 3<>/run/whole/$victim/$port 4</run/whole/$victim/$port"
done
says 'nor out of its own mount' "can't open|nonexistent|No such" \
	from "cat /run/faasin/../$victim/w/faasin"
says 'mounts nothing without the privilege' 'must be root|ermitted|denied' \
	from 'busybox mount -t faasin none /tmp'
says 'writes no cgroup' "can't create|Read-only|nonexistent|denied|No such" \
	from "echo 0 >/sys/fs/cgroup/faasin/$victim/v/cgroup.procs"
mounts=$(faasin_at /run/faasin "workflow=$victim" stage=v)
refuse 'is not started with the mount of another' from 'true'

# ---------------------------------------------------------- killing frees it

mounts=$(faasin_at /run/faasin)

# A container that holds what it can, and is stopped. It is not a child of check's, for
# which this waits in the end.
readonly holder=h$$
container "$holder" "$member" 'cd /run/faasin; exec 8>faasout; echo held >&8; sleep 1000 & sleep 1000'
# What was written so far goes with the old workflow.
faasctl workflow del "$wf" && stages >/dev/null
run "$holder" </dev/null >"$containers/said" 2>&1 &
runs=$!

held()
{
	[ "$(timeout 60 head -n 1 "$point/$wf/other/faasin")" = held ] &&
		crun kill --all "$holder" STOP && return
	cat "$containers/said"
	return 1
}

# Its file system has one reference a superblock, and one a file.
in_use()
{
	local error
	error=$(rmmod faasin 2>&1) && return 1
	grep -qi 'in use' <<<"$error"
}

unload_soon()
{
	soon rmmod faasin 2>/dev/null || rmmod faasin
}

check 'a container holds its port and is stopped' held
check 'its link can be cut' faasctl unlink "$wf" c
check 'its workflow can be deleted' faasctl workflow del "$wf"
check 'the rest is shown' faasctl show
refuse 'its directory is gone' test -e "$point/$wf"

works()
{
	echo 'as ever' >"$point/$victim/v/faasout" && [ "$(cat "$point/$victim/w/faasin")" = 'as ever' ]
}
check 'the victim works' works
check 'the mount of the machine can be taken off' umount "$point"
check 'the module is in use' in_use
check 'it is killed' crun kill --all "$holder" KILL
wait "$runs"
crun delete --force "$holder" 2>/dev/null
check 'the module can be unloaded once it is killed' unload_soon
check 'loads for whoever comes next' insmod "$module"
check 'mounts for whoever comes next' mount -t faasin -o nosuid,nodev,noexec none "$point"

finish
