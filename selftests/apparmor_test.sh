#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A container under the default profile of container engines: it may not write below
# /sys/fs, so ports are reached by way of /run/faasin.

# The containers' own shells expand what is in quotes.
# shellcheck disable=SC2016
# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"
. "$here/container.sh"

[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] ||
	skip_all 'this kernel runs without AppArmor'
[ -d /sys/kernel/security/apparmor ] || skip_all 'securityfs is not mounted'
needs_tools apparmor_parser
crun --version | grep -q APPARMOR || crun --version | grep -q apparmor ||
	skip_all 'crun was built without AppArmor'
containers_need

readonly wf=test-$$ point=/sys/fs/faasin
. "$here/container_stages.sh"
profile=faasin-test-$$

# What docker-default and containers-default have in common and matters here.
profile_text()
{
	cat <<-PROFILE
	profile $profile flags=(attach_disconnected,mediate_deleted) {
		network,
		capability,
		file,
		umount,
		signal (receive) peer=unconfined,
		signal (send, receive) peer=$profile,
		ptrace (trace, read, tracedby, readby) peer=$profile,

		deny mount,
		deny /proc/* w,
		deny /proc/sysrq-trigger rwklx,
		deny /proc/kcore rwklx,
		deny /sys/[^f]*/** wklx,
		deny /sys/f[^s]*/** wklx,
		deny /sys/fs/[^c]*/** wklx,
		deny /sys/fs/c[^g]*/** wklx,
		deny /sys/fs/cg[^r]*/** wklx,
		deny /sys/firmware/** rwklx,
		deny /sys/kernel/security/** rwklx,
	}
	PROFILE
}

cleanup()
{
	containers_end
	faasctl workflow del "$wf" >/dev/null 2>&1
	rmdir /sys/fs/cgroup/faasin/"$wf"/* "/sys/fs/cgroup/faasin/$wf" 2>/dev/null
	profile_text | apparmor_parser --remove --skip-cache 2>/dev/null
}
trap cleanup EXIT

load()
{
	profile_text | apparmor_parser --replace --skip-cache
}
check 'the profile is loaded' load
[ "$tap_failed" = 0 ] || finish

# inside COMMAND: runs it as stage c under the profile
inside()
{
	stages >/dev/null && ran "$member" "$1"
}

into()
{
	stages >/dev/null || return
	echo "$1" >"$point/$wf/before/faasout"
	ran "$member" "$2"
}

mounts=$(faasin_at /run/faasin)$(faasin_at /sys/fs/faasin)
says 'the profile is in force' "^$profile \(enforce\)" inside 'cat /proc/self/attr/current'
says 'it denies what it should: remounting' 'denied|Permission' \
	inside 'echo x >/proc/sysrq-trigger'
says 'writes by way of /run' '^by run$' from 'echo by run >/run/faasin/faasout'
says 'writes by way of the environment' '^by name$' from 'echo by name >$FAASOUT'
says 'reads by way of /run' '^in by run$' into 'in by run' 'cat /run/faasin/faasin'
says 'does not write below /sys/fs' 'Permission denied' \
	inside 'echo by sys >/sys/fs/faasin/faasout'
says 'reads below /sys/fs' '^in by sys$' into 'in by sys' 'cat /sys/fs/faasin/faasin'
says 'lists both' '^faasin faasout self$' inside 'echo $(ls /sys/fs/faasin)'

mounts=$(bound_at "$point/$wf/c" /run/faasin)
stages >/dev/null
says 'writes by way of a bound directory' '^bound$' from 'echo bound >/run/faasin/faasout'

finish
