// SPDX-License-Identifier: GPL-2.0
/*
 * Servers between the two, as platforms use them: Redis (a list, LPUSH and BRPOP) over a
 * unix socket, NATS (a subject) over TCP. bench/run starts them and tells of each by
 * BENCH_REDIS and BENCH_NATS: its process id, a colon, and the socket's path or the port.
 * Their protocols are spoken here by hand, without the copies that a library would add.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "way.h"

#define SMALL	16384	/* up to this size head and payload go in one call */

static const char *address_of(const char *variable)
{
	const char *value = getenv(variable), *colon = value ? strchr(value, ':') : NULL;

	return colon ? colon + 1 : NULL;
}

static pid_t pid_of(const char *variable)
{
	const char *value = getenv(variable);

	return value ? atoi(value) : 0;
}

/* One socket serves for both ends of a lane: each process has its own. */
static void send_parts(struct lane *lane, const char *head, const char *from, size_t size)
{
	size_t len = strlen(head);
	char all[SMALL + 256];

	if (size <= SMALL) {
		memcpy(all, head, len);
		memcpy(all + len, from, size);
		memcpy(all + len + size, "\r\n", 2);
		write_all(lane->ends[1], all, len + size + 2);
		return;
	}
	write_all(lane->ends[1], head, len);
	write_all(lane->ends[1], from, size);
	write_all(lane->ends[1], "\r\n", 2);
}

static void more(struct lane *lane)
{
	struct reader *reader = &lane->reader;
	ssize_t n = read(lane->ends[0], reader->data, sizeof(reader->data));

	if (n <= 0)
		die("%s: the server: %s", lane->way->name, n ? strerror(errno) : "is gone");
	reader->at = 0;
	reader->len = n;
}

/* Without its end. */
static void read_line(struct lane *lane, char *line, size_t size)
{
	struct reader *reader = &lane->reader;
	size_t len = 0;

	do {
		if (reader->at == reader->len)
			more(lane);
		if (len == size)
			die("%s: the server sends a long line", lane->way->name);
		line[len++] = reader->data[reader->at++];
	} while (line[len - 1] != '\n');
	line[len - 1] = '\0';
	if (len > 1 && line[len - 2] == '\r')
		line[len - 2] = '\0';
}

/* A payload and the end of its line. Each part is touched while it is still in the cache. */
static void read_payload(struct lane *lane, size_t size)
{
	struct reader *reader = &lane->reader;
	size_t n = reader->len - reader->at;
	ssize_t got;
	char end[2];

	if (size > lane->size)
		die("%s: %zu bytes came", lane->way->name, size);
	if (n > size)
		n = size;
	memcpy(lane->own, reader->data + reader->at, n);
	reader->at += n;
	touch(lane->own, n);
	for (size -= n; size; size -= got) {
		got = read(lane->ends[0], lane->own, size);
		if (got <= 0)
			die("%s: the server: %s", lane->way->name, got ? strerror(errno) : "is gone");
		touch(lane->own, got);
	}
	read_line(lane, end, sizeof(end));
}

static void open_later(struct lane *lane)
{
}

static const char *missing_redis(void)
{
	return address_of("BENCH_REDIS") ? NULL : "no redis-server runs: scripts/deps bench";
}

static pid_t redis(void)
{
	return pid_of("BENCH_REDIS");
}

static void begin_redis(struct lane *lane, bool producer)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strncpy(address.sun_path, address_of("BENCH_REDIS"), sizeof(address.sun_path) - 1);
	lane->ends[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	lane->ends[1] = lane->ends[0];
	if (lane->ends[0] < 0 ||
	    connect(lane->ends[0], (struct sockaddr *)&address, sizeof(address)))
		die("Redis at %s: %s", address.sun_path, strerror(errno));
}

static void send_redis(struct lane *lane, char *from, size_t size)
{
	char line[256];

	snprintf(line, sizeof(line), "*3\r\n$5\r\nLPUSH\r\n$6\r\nbench%d\r\n$%zu\r\n",
		 lane->nr, size);
	send_parts(lane, line, from, size);
	read_line(lane, line, sizeof(line));
	if (*line != ':')
		die("Redis: %s", line);
}

/* A list of two: which key, and what was there. */
static size_t receive_redis(struct lane *lane, size_t size)
{
	static const char *const heads[] = { "*2", "$6" };
	char line[256];
	size_t i;

	snprintf(line, sizeof(line), "*3\r\n$5\r\nBRPOP\r\n$6\r\nbench%d\r\n$1\r\n0\r\n", lane->nr);
	write_all(lane->ends[1], line, strlen(line));
	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		read_line(lane, line, sizeof(line));
		if (strcmp(line, heads[i]))
			die("Redis: %s", line);
	}
	read_line(lane, line, sizeof(line));
	read_line(lane, line, sizeof(line));
	if (*line != '$')
		die("Redis: %s", line);
	size = strtoul(line + 1, NULL, 10);
	read_payload(lane, size);
	return size;
}

static void close_server(struct lane *lane)
{
	close(lane->ends[0]);
}

const struct way way_redis = {
	.name = "Redis", .key = "redis", .copies = 5, .uses = WAY_TRIP | WAY_HANDOFF,
	.missing = missing_redis, .server = redis,
	.open = open_later, .begin = begin_redis, .memory = bytes_memory, .send = send_redis,
	.receive = receive_redis, .close = close_server,
};

static const char *missing_nats(void)
{
	return address_of("BENCH_NATS") ? NULL : "no nats-server runs: scripts/deps bench";
}

static pid_t nats(void)
{
	return pid_of("BENCH_NATS");
}

/* A line that is not about whether this side is still there. */
static void read_nats(struct lane *lane, char *line, size_t size)
{
	for (;;) {
		read_line(lane, line, size);
		if (*line == '-')
			die("NATS: %s", line);
		if (strcmp(line, "PING"))
			return;
		write_all(lane->ends[1], "PONG\r\n", 6);
	}
}

/* Ends when the server has worked on all that was said before. */
static void flush_nats(struct lane *lane)
{
	char line[4096];

	write_all(lane->ends[1], "PING\r\n", 6);
	do {
		read_nats(lane, line, sizeof(line));
	} while (strcmp(line, "PONG"));
}

static void begin_nats(struct lane *lane, bool producer)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(address_of("BENCH_NATS"))),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char text[64];
	int one = 1;

	lane->ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	lane->ends[1] = lane->ends[0];
	if (lane->ends[0] < 0 ||
	    setsockopt(lane->ends[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    connect(lane->ends[0], (struct sockaddr *)&address, sizeof(address)))
		die("NATS: %s", strerror(errno));
	snprintf(text, sizeof(text), "CONNECT {\"verbose\":false}\r\n");
	write_all(lane->ends[1], text, strlen(text));
	if (!producer) {
		snprintf(text, sizeof(text), "SUB bench%d 1\r\n", lane->nr);
		write_all(lane->ends[1], text, strlen(text));
	}
	flush_nats(lane);
}

static void send_nats(struct lane *lane, char *from, size_t size)
{
	char head[64];

	snprintf(head, sizeof(head), "PUB bench%d %zu\r\n", lane->nr, size);
	send_parts(lane, head, from, size);
}

static size_t receive_nats(struct lane *lane, size_t size)
{
	char line[4096], *last;

	read_nats(lane, line, sizeof(line));
	last = strrchr(line, ' ');
	if (strncmp(line, "MSG ", 4) || !last)
		die("NATS: %s", line);
	size = strtoul(last + 1, NULL, 10);
	read_payload(lane, size);
	return size;
}

const struct way way_nats = {
	.name = "NATS", .key = "nats", .copies = 5, .uses = WAY_TRIP | WAY_HANDOFF,
	.missing = missing_nats, .server = nats,
	.open = open_later, .begin = begin_nats, .memory = bytes_memory, .send = send_nats,
	.receive = receive_nats, .close = close_server,
};
