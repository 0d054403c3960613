# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Containers for tests: busybox under crun, in namespaces of its own, all of
# them; its root is an ordinary user outside. To be sourced after tap.sh.

# containers_need: skips everything when something is missing
containers_need()
{
	needs_module
	needs_tools crun
	busybox=$(command -v busybox) || skip_all 'busybox-static is not installed'
	containers=$(mktemp -d)
	chmod 755 "$containers"
}

# containers_end: for the trap
containers_end()
{
	local dir
	for dir in "$containers"/*/; do
		crun delete --force "$(basename "$dir")" 2>/dev/null
	done
	rm -rf "$containers"
}

# container NAME CGROUP COMMAND: makes ready to run COMMAND (a line of shell).
# Variables: mounts, further ones in JSON, each after a comma; profile, of AppArmor.
container()
{
	local name=$1 cgroup=$2 command=$3 bundle=$containers/$1 applet
	mkdir -p "$bundle/rootfs"/{bin,dev,proc,run,sys,tmp}
	cp "$busybox" "$bundle/rootfs/bin/busybox"
	for applet in sh cat ls head wc yes dd sleep mkdir chmod kill readlink; do
		ln -s busybox "$bundle/rootfs/bin/$applet"
	done
	chmod 755 "$bundle"
	cat >"$bundle/config.json" <<-JSON
	{
		"ociVersion": "1.0.0",
		"hostname": "$name",
		"root": { "path": "rootfs", "readonly": true },
		"process": {
			"cwd": "/",
			"args": [ "sh", "-c", "$command" ],
			"env": [ "PATH=/bin", "FAASIN=/run/faasin/faasin", "FAASOUT=/run/faasin/faasout" ],
			"user": { "uid": 0, "gid": 0 },
			"noNewPrivileges": true${profile:+, \"apparmorProfile\": \"$profile\"},
			"capabilities": { "bounding": [], "effective": [], "permitted": [] }
		},
		"mounts": [
			{ "destination": "/proc", "type": "proc", "source": "proc" },
			{ "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
			  "options": [ "nosuid", "mode=755", "size=64k" ] },
			{ "destination": "/run", "type": "tmpfs", "source": "tmpfs",
			  "options": [ "nosuid", "nodev", "mode=755", "size=64k" ] },
			{ "destination": "/sys", "type": "sysfs", "source": "sysfs",
			  "options": [ "nosuid", "noexec", "nodev", "ro" ] }${mounts:-}
		],
		"linux": {
			"cgroupsPath": "$cgroup",
			"namespaces": [
				{ "type": "mount" }, { "type": "pid" }, { "type": "network" },
				{ "type": "ipc" }, { "type": "uts" }, { "type": "cgroup" },
				{ "type": "user" }
			],
			"uidMappings": [ { "containerID": 0, "hostID": 100000, "size": 65536 } ],
			"gidMappings": [ { "containerID": 0, "hostID": 100000, "size": 65536 } ]
		}
	}
	JSON
}

# faasin_at PATH [OPTION...]: a mount of the container's, in JSON
faasin_at()
{
	local path=$1 option
	shift
	printf ', { "destination": "%s", "type": "faasin", "source": "none", "options": [ "nosuid", "noexec", "nodev"' "$path"
	for option; do
		printf ', "%s"' "$option"
	done
	printf ' ] }'
}

# bound_at SOURCE PATH: another, bound from outside
bound_at()
{
	printf ', { "destination": "%s", "type": "bind", "source": "%s", "options": [ "rbind", "ro" ] }' "$2" "$1"
}

# run NAME: runs it to its end; output and exit status are the command's
run()
{
	timeout 60 crun --cgroup-manager=cgroupfs run --bundle "$containers/$1" "$1"
}

# remove NAME: what is left of it, running or not
remove()
{
	crun delete --force "$1" 2>/dev/null
	rm -rf "${containers:?}/$1"
}

# ran CGROUP COMMAND: makes and runs one
ran()
{
	local name=c$RANDOM$RANDOM status
	container "$name" "$1" "$2"
	run "$name" </dev/null
	status=$?
	remove "$name"
	return "$status"
}
