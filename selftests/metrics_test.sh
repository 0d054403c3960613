#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl metrics: what the formats ask for, files, the HTTP server, and a Prometheus
# server that scrapes it.

# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"

needs_guest

export LC_ALL=C
readonly point=/sys/fs/faasin wf=metrics-$$ tools=${FAASIN_CACHE:-${HOME:-}/.cache/faasin}/tools/prometheus/usr/bin
work=$(mktemp -d)
chmod 755 "$work"
servers=()

cleanup()
{
	[ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2>/dev/null
	umount "$work/full" 2>/dev/null
	[ -d /sys/module/faasin ] || insmod "$module"
	mountpoint -q "$point" || mount -t faasin none "$point"
	faasctl workflow del "$wf" >/dev/null 2>&1
	rm -rf "$work"
}
trap cleanup EXIT

# value METRIC LABELS: of what is printed
value()
{
	faasctl metrics | awk -v key="faasin_$1{$2}" '$1 == key { print $2 }'
}

faasctl link "$wf" a b >/dev/null || exit 1
printf 'hello, world' >"$point/$wf/a/faasout"
head -c 5 "$point/$wf/b/faasin" >/dev/null
readonly labels="workflow=\"$wf\",src=\"a:faasout\",dst=\"b:faasin\""

# ------------------------------------------------------------------------- formats

if [ -x "$tools/promtool" ]; then
	promtool()
	{
		faasctl metrics -f prometheus | "$tools/promtool" check metrics
	}
	check 'promtool finds nothing to complain about' promtool
else
	skip 'promtool finds nothing to complain about' "no $tools/promtool: make deps"
fi
openmetrics()
{
	faasctl metrics >"$work/text" && python3 - "$work/text" <<'END'
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(open(sys.argv[1], encoding="utf-8").read()))
names = {f.name for f in families}
assert len(names) == len(families) > 30, names
for family in families:
    assert family.documentation and family.type in ("counter", "gauge", "info"), family
    for sample in family.samples:
        allowed = {"workflow", "src", "dst"} if family.type != "info" else {"version", "abi"}
        assert set(sample.labels) <= allowed, sample
END
}
if python3 -c 'import prometheus_client' 2>/dev/null; then
	check 'an OpenMetrics parser takes it' openmetrics
else
	skip 'an OpenMetrics parser takes it' 'no python3-prometheus-client'
fi
is()
{
	local got
	got=$(value "$1" "$2")
	[ "$got" = "$3" ] || { echo "$1: $got, want $3"; return 1; }
}
check 'bytes written of a link' is link_written_bytes_total "$labels" 12
check 'bytes read of a link' is link_read_bytes_total "$labels" 5
check 'bytes dropped of a link' is link_dropped_bytes_total "$labels" 7
check 'bytes written of a workflow' is workflow_written_bytes_total "workflow=\"$wf\"" 12
check 'capacity of a link' is link_capacity_bytes "$labels" 1048576
relinked()
{
	faasctl unlink "$wf" a && faasctl link "$wf" a b && is link_written_bytes_total "$labels" 12
}
check 'a link that is made again counts on' relinked
removed()
{
	faasctl stage del "$wf" a && is workflow_written_bytes_total "workflow=\"$wf\"" 12 &&
		[ -z "$(value link_written_bytes_total "$labels")" ] && faasctl link "$wf" a b
}
check 'a workflow counts on without the stage' removed

# ---------------------------------------------------------------- standard output, files

check 'no metrics are half written' fails 2 'cannot write the output: No space left' \
	bash -c 'faasctl metrics >/dev/full'
mkdir "$work/text.d" "$work/full"
textfile()
{
	(umask 022 && faasctl metrics -t "$work/text.d") && [ "$(stat -c %a "$work/text.d/faasin.prom")" = 644 ] &&
		[ "$(ls -A "$work/text.d")" = faasin.prom ] &&
		grep -q '^# TYPE faasin_link_written_bytes_total counter$' "$work/text.d/faasin.prom"
}
check 'a file for node_exporter' textfile
again()
{
	local before
	before=$(stat -c %i "$work/text.d/faasin.prom")
	textfile && [ "$(stat -c %i "$work/text.d/faasin.prom")" != "$before" ]
}
check 'is replaced, not overwritten' again
check 'no such directory' fails 2 "^faasctl: $work/nowhere is not a directory" faasctl metrics -t "$work/nowhere"
check 'a file instead of a directory' fails 2 'is not a directory' faasctl metrics -t "$work/text"
mount -t tmpfs -o size=4k none "$work/full"
full()
{
	echo old >"$work/full/faasin.prom" && fails 2 "cannot write $work/full/faasin.prom: No space left" \
		faasctl metrics -t "$work/full" && [ "$(ls -A "$work/full")" = faasin.prom ] &&
		[ "$(<"$work/full/faasin.prom")" = old ]
}
check 'on a full disk the old file stays' full

# -------------------------------------------------------------------------------- HTTP

check 'no such port' fails 1 'is not an address' faasctl metrics -l 65536
check 'no number' fails 1 'is not an address' faasctl metrics -l localhost
check 'an IPv6 address without brackets' fails 1 'in brackets' faasctl metrics -l ::1:9417
check 'no such address' fails 2 '^faasctl: cannot listen at 192.0.2.1:9417: ' faasctl metrics -l 192.0.2.1:9417
check 'no such name' fails 2 '^faasctl: cannot listen at no.such.invalid:1: ' faasctl metrics -l no.such.invalid:1
# shellcheck disable=SC2016
check 'no HTTP library' fails 2 '^faasctl: cannot listen at 0: .*libmicrohttpd\.so' unshare -m bash -c '
	lib=$(ldconfig -p | sed -n "s/.*libmicrohttpd.so.12 .* => //p" | head -n 1)
	mount --bind /dev/null "$lib" && exec faasctl metrics --listen 0'
check 'a file and a server' fails 1 'only one of' faasctl metrics -l 1 -t "$work/text.d"
check 'a format that does not exist' fails 1 'neither openmetrics nor prometheus' faasctl metrics -f xml

# listens: it says where, or is over
listens()
{
	[ -s "$work/where" ] || ! kill -0 "$server" 2>/dev/null
}

# serve ADDRESS: starts a server; its lines go to $work/where
serve()
{
	rm -f "$work/where"
	faasctl metrics -l "$1" >"$work/where" 2>"$work/served" &
	server=$!
	servers+=($!)
	if soon listens && [ -s "$work/where" ]; then
		return
	fi
	cat "$work/served"
	return 1
}
# An HTTP client of one's own says what it sends: method, path, host, port, Accept.
# Prints status, content type, length of the body, and the body's last line.
ask()
{
	python3 - "$@" <<'END'
import http.client
import sys
method, path, host, port, accept = sys.argv[1:]
connection = http.client.HTTPConnection(host, int(port), timeout=30)
connection.request(method, path, headers={"Accept": accept} if accept else {})
response = connection.getresponse()
body = response.read().decode()
print(response.status, response.getheader("Content-Type"), response.getheader("Allow"), len(body) > 0,
      response.getheader("Content-Length") not in (None, "0"), body.rstrip("\n").rsplit("\n", 1)[-1])
END
}
serve 0 || true
port=$(sed -n '1s/.*:\([0-9]*\)\/metrics$/\1/p' "$work/where")
says 'IPv4 loopback is served' '^serving http://127\.0\.0\.1:[0-9]+/metrics$' cat "$work/where"
# by_ipv6 NAME COMMAND...: a kernel may have none.
by_ipv6()
{
	if [ -e /proc/net/if_inet6 ]; then
		says "$@"
	else
		skip "$1" 'this kernel has no IPv6'
	fi
}
by_ipv6 'and IPv6 loopback at the same port' "^serving http://\[::1\]:$port/metrics$" cat "$work/where"
says 'plain text by default' '^200 text/plain; version=0.0.4; charset=utf-8 None True True faasin_link' \
	ask GET /metrics 127.0.0.1 "$port" ''
by_ipv6 'OpenMetrics for who asks for it, by IPv6' \
	'^200 application/openmetrics-text; version=1.0.0; charset=utf-8 None True True # EOF$' \
	ask GET /metrics ::1 "$port" 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
says 'plain text for who prefers it' '^200 text/plain; version=0.0.4' \
	ask GET /metrics 127.0.0.1 "$port" 'text/plain, application/openmetrics-text;q=0.4'
says 'plain text for who refuses OpenMetrics' '^200 text/plain; version=0.0.4' \
	ask GET /metrics 127.0.0.1 "$port" 'application/openmetrics-text;q=0, */*;q=0.1'
says 'a head without its body' '^200 text/plain; version=0.0.4; charset=utf-8 None False True $' \
	ask HEAD /metrics 127.0.0.1 "$port" ''
says 'nothing elsewhere' '^404 text/plain; charset=utf-8 None True True nothing is here' \
	ask GET / 127.0.0.1 "$port" ''
says 'no other method' '^405 text/plain; charset=utf-8 GET, HEAD True True only GET' \
	ask POST /metrics 127.0.0.1 "$port" ''
check 'the port is in use' fails 2 "^faasctl: cannot listen at 127.0.0.1:$port: Address already in use$" \
	faasctl metrics -l "127.0.0.1:$port"
check 'the port is in use, at the loopback' fails 2 "^faasctl: cannot listen at $port: Address already in use$" \
	faasctl metrics -l "$port"
rude()
{
	local i
	for i in {1..40}; do
		exec {fd}<>"/dev/tcp/127.0.0.1/$port" || break
		printf 'GET /metrics HTTP/1.1\r\n' >&"$fd"
		[ $((i % 2)) = 0 ] || exec {fd}>&-
	done 2>/dev/null
	printf 'GET \0\xff nonsense\r\n\r\n' >"/dev/tcp/127.0.0.1/$port"
	# Those that were left open hold their places until this shell is gone.
	kill -0 "$server"
}
check 'who hangs up or sends nonsense does not end it' rude
says 'it serves on' '^200 text/plain' ask GET /metrics 127.0.0.1 "$port" ''

# A real server asks every second and is asked in its turn.
scraped()
{
	local query='http://127.0.0.1:9099/api/v1/query?query=faasin_link_written_bytes_total'
	mkdir -p "$work/data" && cat >"$work/prometheus.yml" <<-END
	global: { scrape_interval: 1s, scrape_timeout: 1s }
	scrape_configs: [{ job_name: faasin, static_configs: [{ targets: ["127.0.0.1:$port"] }] }]
	END
	"$tools/promtool" check config "$work/prometheus.yml" >/dev/null || return
	"$tools/prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
		--web.listen-address=127.0.0.1:9099 >"$work/prometheus.log" 2>&1 &
	servers+=($!)
	printf 12345 >"$point/$wf/a/faasout"
	for _ in {1..90}; do
		sleep 1
		python3 - "$query" "$wf" <<-'END' && return
		import json, sys, urllib.request
		answer = json.load(urllib.request.urlopen(sys.argv[1], timeout=10))["data"]["result"]
		got = [(r["metric"]["src"], r["metric"]["dst"], r["value"][1]) for r in answer
		       if r["metric"]["workflow"] == sys.argv[2]]
		sys.exit(got != [("a:faasout", "b:faasin", "5")])
		END
	done 2>/dev/null
	tail -n 20 "$work/prometheus.log"
	return 1
}
if [ -x "$tools/prometheus" ]; then
	check 'a Prometheus server scrapes it' scraped
else
	skip 'a Prometheus server scrapes it' "no $tools/prometheus: make deps"
fi

# ---------------------------------------------------------------- rights, module, the end

cp "$(command -v faasctl)" "$work/faasctl"
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups "$work/faasctl")
check 'no permission' fails 2 '^faasctl: not permitted: ' "${nobody[@]}" metrics
check 'no permission to serve' fails 2 '^faasctl: not permitted: ' "${nobody[@]}" metrics -l 0

faasctl workflow del "$wf" >/dev/null
umount "$point" && rmmod faasin
says 'without the module it says so' '^503 text/plain; charset=utf-8 None True True faasin: the module is not loaded' \
	ask GET /metrics 127.0.0.1 "$port" ''
check 'without the module there are no metrics' fails 2 'the module is not loaded' faasctl metrics
check 'and no new server' fails 2 'the module is not loaded' faasctl metrics -l 0
unloaded()
{
	fails 2 'the module is not loaded' faasctl metrics -t "$work/text.d" &&
		[ "$(ls -A "$work/text.d")" = faasin.prom ]
}
check 'nor is a file replaced' unloaded
insmod "$module" && mount -t faasin none "$point"
says 'with it, it serves on' '^200 text/plain' ask GET /metrics 127.0.0.1 "$port" ''
# Only this shell is told how its child ends.
kill "$server"
wait "$server"
status=$?
ended()
{
	cat "$work/served"
	[ "$status" = 0 ] && [ ! -s "$work/served" ]
}
check 'it ends well by SIGTERM' ended
check 'the port is free at once' serve "$port"
finish
