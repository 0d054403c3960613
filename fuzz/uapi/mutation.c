// SPDX-License-Identifier: GPL-2.0
/*
 * Programs made up, and made of others.
 */
#include <fcntl.h>
#include <linux/faasin.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "call.h"
#include "chance.h"

#define TYPES	(FAASIN_A_LINK_MAX + 2)	/* links have most attributes */

static uint64_t pick(const uint64_t *from, size_t count)
{
	return from[chance(count)];
}

#define PICK(...) \
	pick((const uint64_t[]){ __VA_ARGS__ }, ARRAY_SIZE(((const uint64_t[]){ __VA_ARGS__ })))

static uint64_t random_value(enum kind kind)
{
	struct words words = words_of(kind);

	if (words.count) /* what comes first is what works */
		return one_in(2) ? chance(words.count) : chance((words.count + 1) / 2);
	switch (kind) {
	case K_NONE:
		return 0;
	case K_SLOT:
		return one_in(4) ? chance(SLOTS) : chance(4);
	case K_OPEN:
		return PICK(O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY, O_RDWR) |
			(one_in(8) ? 0 : O_NONBLOCK) | (one_in(8) ? 1u << chance(24) : 0);
	case K_SIZE:
		if (one_in(4))
			return chance(70000);
		return PICK(0, 1, 2, 100, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 65535,
			    65536, 65537, 131072, 200000, INT32_MAX, UINT64_MAX, 1ull << 40);
	case K_POINTER:
		return one_in(4) ? chance(PLACED) : 0;
	case K_POLL:
		return one_in(3) ? chance(0x4000) : PICK(POLLIN, POLLOUT, POLLIN | POLLOUT, 0);
	case K_FCNTL:
		return PICK(0, O_NONBLOCK, O_NONBLOCK, O_APPEND, O_DIRECT, O_ASYNC, 4096,
			    1 << 20, 1);
	case K_SPLICE:
		return one_in(8) ? chance(32) : SPLICE_F_NONBLOCK;
	case K_SIGNAL:
		return PICK(0, 1, 2, 9, 9, 11, 13, 15, 127, 128, 137, 255, chance(65));
	case K_COMMAND:
		return 1 + chance(FAASIN_CMD_MAX + 1);
	case K_NLFLAGS:
		if (one_in(4))
			return chance(0x1000);
		return PICK(0, NLM_F_ACK, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_DUMP,
			    NLM_F_REPLACE);
	case K_PROTECTION:
		return PICK(PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_EXEC, 0);
	case K_LIMIT:
		return PICK(0, 4096, 1 << 16, 1 << 20, 16 << 20, 64 << 20);
	case K_RARE:
		return one_in(8) ? chance(1 << 17) : 0;
	case K_SMALL:
		return chance(8);
	default:
		return one_in(4) ? random_next(&chance_seed) : chance(256);
	}
}

/*
 * Attributes of each command: what a good request has. selftests/netlink_spec.py sees that
 * it is all that the module takes.
 */
struct form {
	char form;
	uint16_t type;
};

static const struct form forms[][11] = {
	[FAASIN_CMD_WORKFLOW_GET] = { { 's', FAASIN_A_WORKFLOW_NAME } },
	[FAASIN_CMD_WORKFLOW_NEW] = { { 's', FAASIN_A_WORKFLOW_NAME },
		{ 'd', FAASIN_A_WORKFLOW_FLAGS },
		{ 'f', FAASIN_A_WORKFLOW_CGROUP_FD } },
	[FAASIN_CMD_WORKFLOW_DEL] = { { 's', FAASIN_A_WORKFLOW_NAME },
		{ 'q', FAASIN_A_WORKFLOW_GENERATION } },
	[FAASIN_CMD_STAGE_GET] = { { 's', FAASIN_A_STAGE_WORKFLOW }, { 's', FAASIN_A_STAGE_NAME } },
	[FAASIN_CMD_STAGE_NEW] = { { 's', FAASIN_A_STAGE_WORKFLOW }, { 's', FAASIN_A_STAGE_NAME },
		{ 'f', FAASIN_A_STAGE_CGROUP_FD }, { 'd', FAASIN_A_STAGE_UID },
		{ 'd', FAASIN_A_STAGE_GID }, { 'd', FAASIN_A_STAGE_MODE },
		{ 'n', FAASIN_A_STAGE_PORT } },
	[FAASIN_CMD_STAGE_DEL] = { { 's', FAASIN_A_STAGE_WORKFLOW }, { 's', FAASIN_A_STAGE_NAME },
		{ 'q', FAASIN_A_STAGE_GENERATION } },
	[FAASIN_CMD_LINK_GET] = { { 's', FAASIN_A_LINK_WORKFLOW }, { 's', FAASIN_A_LINK_SRC_STAGE },
		{ 's', FAASIN_A_LINK_SRC_PORT }, { 's', FAASIN_A_LINK_DST_STAGE },
		{ 's', FAASIN_A_LINK_DST_PORT } },
	[FAASIN_CMD_LINK_NEW] = { { 's', FAASIN_A_LINK_WORKFLOW },
		{ 's', FAASIN_A_LINK_SRC_STAGE }, { 's', FAASIN_A_LINK_DST_STAGE },
		{ 's', FAASIN_A_LINK_SRC_PORT },
		{ 's', FAASIN_A_LINK_DST_PORT }, { 'q', FAASIN_A_LINK_CAPACITY },
		{ 'd', FAASIN_A_LINK_ABORT_ON }, { 'd', FAASIN_A_LINK_EARLY_CLOSE },
		{ 'd', FAASIN_A_LINK_FLAGS },
		{ 'd', FAASIN_A_LINK_SLOW },
		{ 'd', FAASIN_A_LINK_MERGE } },
	[FAASIN_CMD_LINK_DEL] = { { 's', FAASIN_A_LINK_WORKFLOW }, { 's', FAASIN_A_LINK_SRC_STAGE },
		{ 's', FAASIN_A_LINK_SRC_PORT }, { 's', FAASIN_A_LINK_DST_STAGE },
		{ 's', FAASIN_A_LINK_DST_PORT }, { 'q', FAASIN_A_LINK_GENERATION } },
	[FAASIN_CMD_STAGE_REPLACE] = { { 's', FAASIN_A_STAGE_WORKFLOW },
		{ 's', FAASIN_A_STAGE_NAME }, { 'f', FAASIN_A_STAGE_CGROUP_FD },
		{ 'q', FAASIN_A_STAGE_GENERATION } },
	[FAASIN_CMD_LINK_SET] = { { 's', FAASIN_A_LINK_WORKFLOW }, { 's', FAASIN_A_LINK_SRC_STAGE },
		{ 's', FAASIN_A_LINK_DST_STAGE }, { 'q', FAASIN_A_LINK_CAPACITY },
		{ 'd', FAASIN_A_LINK_STATE }, { 's', FAASIN_A_LINK_SRC_PORT },
		{ 's', FAASIN_A_LINK_DST_PORT }, { 'q', FAASIN_A_LINK_GENERATION } },
};

static uint64_t random_payload(char form)
{
	switch (form) {
	case 's':
		return random_value(K_WORD);
	case 'd':
		return one_in(4) ? random_next(&chance_seed) :
			PICK(0, 1, 2, 3, 4, 6, 0644, 0777, 65534);
	case 'q':
		return one_in(4) ? random_next(&chance_seed) :
			PICK(1, 2, 4096, 8192, 65536, 1 << 20, 1 << 30);
	case 'f':
		return chance(SLOTS);
	default:
		return chance(80);
	}
}

static void add_attr(struct call *c, char form, uint16_t type, uint64_t value)
{
	if (form == 's')
		value %= words_of(K_WORD).count;
	if (c->nattrs < ATTRS_MAX)
		c->attr[c->nattrs++] = (struct attr){ form, type, value };
}

/* One to three ends instead of one. */
static void good_ends(struct call *c, uint16_t type)
{
	uint64_t n = 1 + chance(3);

	while (n--) {
		add_attr(c, 'n', type, one_in(8));
		add_attr(c, 's', FAASIN_A_END_STAGE, name_value("a") + chance(4));
		if (one_in(6))
			add_attr(c, 's', FAASIN_A_END_PORT, name_value("faasin") + chance(4));
		add_attr(c, 'e', 0, 0);
	}
}

/* Ends of a new link can be several, in nests. */
static uint16_t nest_instead(const struct call *c, const struct form *form)
{
	if (c->arg[1] != FAASIN_CMD_LINK_NEW)
		return 0;
	switch (form->type) {
	case FAASIN_A_LINK_SRC_STAGE: return FAASIN_A_LINK_SRC;
	case FAASIN_A_LINK_DST_STAGE: return FAASIN_A_LINK_DST;
	default: return 0;
	}
}

/* Stages are named by attributes with other numbers. */
static bool names_port(const struct form *form)
{
	return form->type == FAASIN_A_LINK_SRC_PORT || form->type == FAASIN_A_LINK_DST_PORT;
}

/* Workflows and stages by their names, as otherwise nothing would be found. */
static void good_attr(struct call *c, const struct form *form, size_t place)
{
	uint64_t value = random_payload(form->form);
	uint16_t nest = nest_instead(c, form);

	if (nest && one_in(3)) {
		good_ends(c, nest);
		return;
	}
	if (form->form == 's' && !one_in(8)) {
		if (place == 0)
			value = name_value("fz0") + (one_in(3) ? chance(3) : 0);
		else if (names_port(form))
			value = name_value("faasin") + chance(4);
		else
			value = name_value("a") + chance(4);
	}
	if (form->form != 'n') {
		add_attr(c, form->form, form->type, value);
		return;
	}
	add_attr(c, 'n', form->type, one_in(8));
	add_attr(c, 's', FAASIN_A_PORT_NAME, value = name_value("in1") + chance(2));
	add_attr(c, 'd', FAASIN_A_PORT_DIRECTION, value == name_value("out1") ?
		 FAASIN_DIRECTION_OUT : FAASIN_DIRECTION_IN);
	add_attr(c, 'e', 0, 0);
}

static void random_attrs(struct call *c)
{
	static const char kinds[] = "sdqfxne";
	size_t i;

	c->nattrs = 0;
	if (c->arg[1] < ARRAY_SIZE(forms)) {
		bool dump = (c->arg[2] & NLM_F_DUMP) == NLM_F_DUMP;

		for (i = 0; i < ARRAY_SIZE(forms[0]) && forms[c->arg[1]][i].form; i++) {
			/* Those after the first two or three are optional. */
			if (dump ? i || one_in(2) :
			    i > (c->arg[1] == FAASIN_CMD_LINK_NEW ? 2 : 1) && !one_in(3))
				continue;
			good_attr(c, &forms[c->arg[1]][i], i);
		}
	}
	if (one_in(6))
		add_attr(c, kinds[chance(7)], chance(TYPES), chance(256));
}

static void fix_attr(struct attr *a)
{
	if (a->form == 's')
		a->value %= words_of(K_WORD).count;
}

static void random_attr(struct call *c)
{
	static const char kinds[] = "sdqfxne";
	struct attr *a;

	if (!c->nattrs || one_in(5)) {
		random_attrs(c);
		return;
	}
	a = &c->attr[chance(c->nattrs)];
	switch (chance(5)) {
	case 0: /* leave it out */
		memmove(a, a + 1, (char *)&c->attr[c->nattrs] - (char *)(a + 1));
		c->nattrs--;
		return;
	case 1: /* say it again */
		add_attr(c, a->form, a->type, random_payload(a->form));
		return;
	case 2:
		a->form = kinds[chance(7)];
		break;
	case 3:
		a->type = one_in(4) ? chance(65536) : chance(TYPES);
		break;
	default:
		a->value = random_payload(a->form);
	}
	fix_attr(a);
}

static void random_call(struct call *c)
{
	unsigned int total = 0, at, i, n;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < OPS; i++)
		total += ops[i].weight;
	at = chance(total);
	for (i = 0; at >= ops[i].weight; i++)
		at -= ops[i].weight;
	c->op = i;
	c->thread = chance(3);
	for (n = 0; n < ARGS_MAX; n++)
		c->arg[n] = random_value(ops[i].kind[n]);
	if (ops[i].call == call_netlink)
		random_attrs(c);
	if (one_in(12))
		c->fail = 1 + chance(one_in(3) ? 40 : 8);
}

void program_fresh(struct program *p)
{
	p->processes = one_in(5);	/* a fork takes its time */
	p->ncalls = 1 + chance(CALLS_MAX);
	for (unsigned int i = 0; i < p->ncalls; i++)
		random_call(&p->call[i]);
}

static void change_call(struct call *c)
{
	unsigned int n;

	switch (chance(6)) {
	case 0:
		c->thread = chance(3);
		return;
	case 1:
		c->fail = one_in(2) ? 0 : 1 + chance(40);
		return;
	case 2:
		if (ops[c->op].call == call_netlink) {
			random_attr(c);
			return;
		}
	}
	n = chance(ARGS_MAX);
	while (n && ops[c->op].kind[n] == K_NONE)
		n--;
	c->arg[n] = random_value(ops[c->op].kind[n]);
}

static void insert(struct program *p, unsigned int at, const struct call *c)
{
	if (p->ncalls == CALLS_MAX)
		return;
	memmove(&p->call[at + 1], &p->call[at], (p->ncalls - at) * sizeof(*c));
	p->call[at] = *c;
	p->ncalls++;
}

void program_mutate(struct program *p, const struct program *other)
{
	unsigned int rounds = 1 + chance(4), i, j, n;
	struct call c;

	while (rounds--) {
		switch (chance(8)) {
		case 0:
		case 1:
			random_call(&c);
			insert(p, chance(p->ncalls + 1), &c);
			break;
		case 2:
			i = chance(p->ncalls);
			if (p->ncalls > 1) {
				p->ncalls--;
				memmove(&p->call[i], &p->call[i + 1], (p->ncalls - i) * sizeof(c));
			}
			break;
		case 3:
			i = chance(p->ncalls);
			j = chance(p->ncalls);
			c = p->call[i];
			p->call[i] = p->call[j];
			p->call[j] = c;
			break;
		case 4: /* the head of one, the tail of the other */
			i = chance(p->ncalls + 1);
			j = chance(other->ncalls);
			n = other->ncalls - j;
			if (n > CALLS_MAX - i)
				n = CALLS_MAX - i;
			memcpy(&p->call[i], &other->call[j], n * sizeof(c));
			p->ncalls = i + n;
			break;
		case 5:
			p->processes = one_in(5);
			break;
		default:
			change_call(&p->call[chance(p->ncalls)]);
		}
	}
}

void program_tame(struct program *p)
{
	unsigned int i, n = 0;

	for (i = 0; i < p->ncalls; i++)
		if (!(ops[p->call[i].op].changes & CHANGES_CALLER))
			p->call[n++] = p->call[i];
	p->ncalls = n;
}
