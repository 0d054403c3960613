// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasctl metrics --listen: answers scrapes over HTTP, one after the other. The
 * module is asked anew for each: once this runs, it may go away and come back.
 */
#include <dlfcn.h>
#include <limits.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "metrics.h"
#include "stop.h"

#define SOCKETS_MAX	8	/* addresses of one name */
#define CONNECTIONS_MAX	32
#define IDLE_SECONDS	30
#define PATH		"/metrics"

/* ------------------------------------------------------------------ library */

#define LIBRARY		"libmicrohttpd.so.12"

/* What is used of it. */
static struct {
	__typeof__(MHD_add_response_header) *MHD_add_response_header;
	__typeof__(MHD_create_response_from_buffer) *MHD_create_response_from_buffer;
	__typeof__(MHD_destroy_response) *MHD_destroy_response;
	__typeof__(MHD_get_daemon_info) *MHD_get_daemon_info;
	__typeof__(MHD_get_timeout) *MHD_get_timeout;
	__typeof__(MHD_lookup_connection_value) *MHD_lookup_connection_value;
	__typeof__(MHD_queue_response) *MHD_queue_response;
	__typeof__(MHD_run) *MHD_run;
	__typeof__(MHD_start_daemon) *MHD_start_daemon;
	__typeof__(MHD_stop_daemon) *MHD_stop_daemon;
} http;

/*
 * Not linked: it needs a TLS library, which needs nine more, and loading these would
 * double the time that any command takes to start. Stays until the end.
 */
static const char *load_library(void)
{
	const struct {
		const char *name;
		void *to;
	} functions[] = {
		{ "MHD_add_response_header", &http.MHD_add_response_header },
		{ "MHD_create_response_from_buffer", &http.MHD_create_response_from_buffer },
		{ "MHD_destroy_response", &http.MHD_destroy_response },
		{ "MHD_get_daemon_info", &http.MHD_get_daemon_info },
		{ "MHD_get_timeout", &http.MHD_get_timeout },
		{ "MHD_lookup_connection_value", &http.MHD_lookup_connection_value },
		{ "MHD_queue_response", &http.MHD_queue_response },
		{ "MHD_run", &http.MHD_run },
		{ "MHD_start_daemon", &http.MHD_start_daemon },
		{ "MHD_stop_daemon", &http.MHD_stop_daemon },
	};
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL), *function;
	size_t i;

	if (!library)
		return dlerror();
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		function = dlsym(library, functions[i].name);
		if (!function)
			return dlerror();
		memcpy(functions[i].to, &function, sizeof(function));
	}
	return NULL;
}

/* ------------------------------------------------------------------ answers */

/* The weight of a media range's parameters: 1 unless they say "q=". */
static double weight(const char *range, size_t len)
{
	const char *end = range + len, *p;

	for (p = memchr(range, ';', len); p; p = memchr(p, ';', end - p)) {
		p++;
		p += strspn(p, " \t");
		if (p < end && (*p == 'q' || *p == 'Q') && p[1] == '=')
			return strtod(p + 2, NULL);
	}
	return 1;
}

/* What of the header Accept stands for a media type, the exact one first. */
static double accepts(const char *accept, const char *type)
{
	const char *slash = strchr(type, '/');
	size_t whole = strlen(type), part = slash - type + 1;
	double exact = -1, some = -1, any = -1;
	const char *p = accept;

	while (*p) {
		size_t len = strcspn(p, ","), name;

		p += strspn(p, " \t");
		len = strcspn(p, ",");
		name = strcspn(p, ",; \t");
		if (name == whole && !strncasecmp(p, type, whole))
			exact = exact < weight(p, len) ? weight(p, len) : exact;
		else if (name == part + 1 && !strncasecmp(p, type, part) && p[part] == '*')
			some = weight(p, len);
		else if (name == 3 && !strncmp(p, "*/*", 3))
			any = weight(p, len);
		p += len + (p[len] == ',');
	}
	return exact >= 0 ? exact : some >= 0 ? some : any >= 0 ? any : 0;
}

/* OpenMetrics for those who name it: whoever takes anything gets plain text. */
static enum metrics_format negotiate(const char *accept)
{
	double open, text;

	if (!accept || !strcasestr(accept, "application/openmetrics-text"))
		return METRICS_PROMETHEUS;
	open = accepts(accept, "application/openmetrics-text");
	text = accepts(accept, "text/plain");
	return open > 0 && open >= text ? METRICS_OPENMETRICS :
					  METRICS_PROMETHEUS;
}

static enum MHD_Result answer(struct MHD_Connection *connection,
			      unsigned int code, const char *type, char *body,
			      size_t len)
{
	struct MHD_Response *response;
	enum MHD_Result ret;

	response = http.MHD_create_response_from_buffer(len, body,
							MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(body);
		return MHD_NO;
	}
	http.MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	http.MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept");
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		http.MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					     "GET, HEAD");
	ret = http.MHD_queue_response(connection, code, response);
	http.MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection,
				   unsigned int code, const char *text)
{
	char *body;
	int len = asprintf(&body, "%s\n", text);

	if (len < 0)
		return MHD_NO;
	return answer(connection, code, "text/plain; charset=utf-8", body, len);
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection)
{
	const char *accept = http.MHD_lookup_connection_value(connection,
							      MHD_HEADER_KIND,
							      MHD_HTTP_HEADER_ACCEPT);
	enum metrics_format format = negotiate(accept);
	struct faasctl_error err;
	size_t len;
	char *body;

	if (metrics_text(format, &body, &len, &err))
		return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				   err.message);
	return answer(connection, MHD_HTTP_OK, format == METRICS_OPENMETRICS ?
		      "application/openmetrics-text; version=1.0.0; charset=utf-8" :
		      "text/plain; version=0.0.4; charset=utf-8", body, len);
}

static enum MHD_Result request(void *arg, struct MHD_Connection *connection,
			       const char *url, const char *method,
			       const char *version, const char *data,
			       size_t *data_size, void **seen)
{
	static char mark;

	/* The first call comes before what was sent along, if anything was. */
	if (!*seen) {
		*seen = &mark;
		return MHD_YES;
	}
	if (*data_size) {
		*data_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) &&
	    strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				   "only GET and HEAD are understood here");
	if (strcmp(url, PATH))
		return answer_text(connection, MHD_HTTP_NOT_FOUND,
				   "nothing is here: metrics are at " PATH);
	return answer_metrics(connection);
}

/* ------------------------------------------------------------------ sockets */

/**
 * struct scrape - a run of the server
 * @where: as the user said
 * @sockets: listening
 * @daemons: one a socket
 * @n: of both
 */
struct scrape {
	const char *where;
	int sockets[SOCKETS_MAX];
	struct MHD_Daemon *daemons[SOCKETS_MAX];
	size_t n;
};

static int cannot_listen(const struct scrape *scrape, const char *why)
{
	fprintf(stderr, "faasctl: cannot listen at %s: %s\n",
		text_clean(scrape->where).s, why);
	return STATUS_REFUSED;
}

/* @only: an IPv6 address does not stand for any of IPv4, as "::" can */
static int listen_at(const struct addrinfo *at, int only)
{
	int one = 1, code;
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (at->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (!bind(fd, at->ai_addr, at->ai_addrlen) && !listen(fd, 16))
		return fd;
	code = errno;
	close(fd);
	return -code;
}

static void print_where(int fd)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	bool six;

	if (getsockname(fd, (struct sockaddr *)&at, &len) ||
	    getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	six = at.ss_family == AF_INET6;
	printf("serving http://%s%s%s:%s" PATH "\n", six ? "[" : "", host,
	       six ? "]" : "", port);
}

/* A machine may lack one of the two protocols, but not both. */
static bool lacks(int code)
{
	return code == -EAFNOSUPPORT || code == -EADDRNOTAVAIL;
}

/* The port that the first socket got, for the others of "any port". */
static void same_port(const struct scrape *scrape, const struct addrinfo *at)
{
	struct sockaddr_in6 got;
	socklen_t len = sizeof(got);

	/* Both families have it at the same place. */
	if (scrape->n &&
	    !getsockname(scrape->sockets[0], (struct sockaddr *)&got, &len))
		((struct sockaddr_in *)at->ai_addr)->sin_port = got.sin6_port;
}

static int open_sockets(struct scrape *scrape, const char *host,
			const char *port)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (host && !strcmp(host, "*") ?
					      AI_PASSIVE : 0),
	};
	struct addrinfo *list, *at;
	int ret, fd, last = 0;

	ret = getaddrinfo(hints.ai_flags & AI_PASSIVE ? NULL : host, port,
			  &hints, &list);
	if (ret)
		return cannot_listen(scrape, gai_strerror(ret));
	for (at = list; at && scrape->n < SOCKETS_MAX; at = at->ai_next) {
		same_port(scrape, at);
		fd = listen_at(at, !!list->ai_next);
		if (fd < 0) {
			last = fd;
			if (lacks(fd))
				continue;
			break;
		}
		scrape->sockets[scrape->n++] = fd;
	}
	freeaddrinfo(list);
	if (scrape->n && (!last || lacks(last)))
		return STATUS_OK;
	return cannot_listen(scrape, strerror(-last));
}

/* "PORT", ":PORT", "HOST:PORT", "[ADDRESS]:PORT" or "*:PORT" */
static int parse_where(const struct args *args, struct scrape *scrape)
{
	char copy[NI_MAXHOST + sizeof("[]:65535")], *colon, *port, *host = NULL;
	unsigned long number;

	if (strlen(scrape->where) >= sizeof(copy))
		usage_error(args->command, "\"%.20s...\" is too long for an address",
			    scrape->where);
	strcpy(copy, scrape->where);
	colon = strrchr(copy, ':');
	port = colon ? colon + 1 : copy;
	if (colon && colon > copy) {
		*colon = '\0';
		host = copy;
		if (*host == '[' && colon[-1] == ']') {
			colon[-1] = '\0';
			host++;
		} else if (strchr(host, ':')) {
			usage_error(args->command,
				    "\"%s\" is ambiguous: put an IPv6 address in brackets, as in [::1]:9417",
				    scrape->where);
		}
	}
	number = strtoul(port, NULL, 10);
	if (!*port || strspn(port, "0123456789") != strlen(port) ||
	    strlen(port) > 5 || number > 65535 || (host && !*host))
		usage_error(args->command,
			    "\"%s\" is not an address: give PORT, HOST:PORT or [ADDRESS]:PORT",
			    scrape->where);
	return open_sockets(scrape, host, port);
}

/* ------------------------------------------------------------------- serving */

static int start(struct scrape *scrape)
{
	const char *missing = load_library();
	size_t i;

	if (missing)
		return cannot_listen(scrape, missing);
	for (i = 0; i < scrape->n; i++) {
		const struct MHD_OptionItem settings[] = {
			{ MHD_OPTION_LISTEN_SOCKET, scrape->sockets[i], NULL },
			{ MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL },
			{ MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL },
			{ MHD_OPTION_END, 0, NULL },
		};

		scrape->daemons[i] = http.MHD_start_daemon(MHD_USE_EPOLL, 0, NULL,
							   NULL, request, NULL,
							   MHD_OPTION_ARRAY, settings,
							   MHD_OPTION_END);
		if (!scrape->daemons[i])
			return cannot_listen(scrape, "no HTTP server can be started");
	}
	return STATUS_OK;
}

/* Until when something must be done, though nothing arrives. */
static const struct timespec *deadline(struct scrape *scrape,
				       struct timespec *time)
{
	MHD_UNSIGNED_LONG_LONG ms, least = ULLONG_MAX;
	size_t i;

	for (i = 0; i < scrape->n; i++)
		if (http.MHD_get_timeout(scrape->daemons[i], &ms) == MHD_YES &&
		    ms < least)
			least = ms;
	if (least == ULLONG_MAX)
		return NULL;
	time->tv_sec = least / 1000;
	time->tv_nsec = least % 1000 * 1000000;
	return time;
}

static int serve(struct scrape *scrape)
{
	struct pollfd fds[SOCKETS_MAX];
	struct timespec time;
	size_t i;

	for (i = 0; i < scrape->n; i++) {
		const union MHD_DaemonInfo *info;

		info = http.MHD_get_daemon_info(scrape->daemons[i],
						MHD_DAEMON_INFO_EPOLL_FD);
		fds[i] = (struct pollfd){ .fd = info->epoll_fd, .events = POLLIN };
	}
	while (!stop_asked()) {
		if (ppoll(fds, scrape->n, deadline(scrape, &time), stop_mask()) < 0 &&
		    errno != EINTR)
			return cannot_listen(scrape, strerror(errno));
		for (i = 0; i < scrape->n; i++)
			http.MHD_run(scrape->daemons[i]);
	}
	return STATUS_OK;
}

static void finish(struct scrape *scrape)
{
	size_t i;

	for (i = 0; i < scrape->n; i++) {
		if (scrape->daemons[i])
			http.MHD_stop_daemon(scrape->daemons[i]);
		else
			close(scrape->sockets[i]);
	}
}

/* Serves until SIGINT or SIGTERM. */
int scrape_serve(const struct args *args, const char *where)
{
	struct scrape scrape = { .where = where };
	struct faasctl_error err;
	struct faasctl *ctl;
	int status;
	size_t i;

	/* Nobody is served by one who may not ask, or cannot. */
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	faasctl_close(ctl);
	stop_begin();
	/* Whoever hangs up before the answer is no reason to end. */
	signal(SIGPIPE, SIG_IGN);

	status = parse_where(args, &scrape);
	if (status == STATUS_OK)
		status = start(&scrape);
	if (status == STATUS_OK) {
		for (i = 0; i < scrape.n; i++)
			print_where(scrape.sockets[i]);
		status = finish_output();
	}
	if (status == STATUS_OK)
		status = serve(&scrape);
	finish(&scrape);
	return status;
}
