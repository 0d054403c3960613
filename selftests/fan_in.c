// SPDX-License-Identifier: GPL-2.0
/* What tests of fan-in share: fan_in.h. */
#include "fan_in.h"

static const char *source(unsigned int i)
{
	static char name[16];

	snprintf(name, sizeof(name), "p%u", i);
	return name;
}

int fan_in_new(struct fan *f, unsigned int n, const struct faasctl_link_options *options)
{
	unsigned int i;
	int error = fan_new(f, 0, NULL);

	for (i = 0; !error && i < n; i++)
		error = fan_stage(f, source(i));
	if (!error)
		error = fan_stage(f, "d");
	if (!error)
		error = fan_link(f, fan_list('p', 0, n - 1), "d", options);
	if (error)
		fan_del(f);
	return error;
}

int fan_in_set_state(struct fan *f, unsigned int i, uint32_t state)
{
	return fan_link_set_state(f, source(i), "d", state);
}

int fan_in_resize(struct fan *f, unsigned int i, uint64_t capacity)
{
	return FAN_REQUEST(f, faasctl_link_resize(ctl, f->name, source(i), "d", 0, capacity,
						  &err));
}

struct link_state fan_in_state(struct fan *f, unsigned int i)
{
	return fan_link_state(f, source(i), "d");
}

static int keep_port(const struct faasctl_stage *stage, void *arg)
{
	struct faasctl_port *port = arg;
	size_t i;

	for (i = 0; i < stage->n_ports; i++)
		if (!strcmp(stage->ports[i].name, FAASIN_PORT_IN))
			*port = stage->ports[i];
	return 0;
}

struct faasctl_port fan_in_port(struct fan *f)
{
	struct faasctl_port port = { 0 };

	(void)FAN_REQUEST(f, faasctl_stage_each(ctl, f->name, "d", keep_port, &port, &err));
	/* What it points to is gone. */
	port.name = NULL;
	port.peer_stage = NULL;
	port.peer_port = NULL;
	return port;
}

int fan_in_writer(struct fan *f, unsigned int i, int flags)
{
	return fan_open(f, source(i), FAASIN_PORT_OUT,
			(flags & O_ACCMODE ? 0 : O_WRONLY) | flags);
}

int fan_in_reader(struct fan *f, int flags)
{
	return fan_open(f, "d", FAASIN_PORT_IN, O_RDONLY | flags);
}
