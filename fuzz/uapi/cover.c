// SPDX-License-Identifier: GPL-2.0
/* Coverage: see cover.h. */
#include <linux/kcov.h>

#include "call.h"
#include "common.h"
#include "cover.h"

#define COVER		(32 * 1024)	/* program counters that KCOV keeps of a task */
#define BITS		18
#define MIX_1		0x9e3779b97f4a7c15ull
#define MIX_2		0xc2b2ae3d27d4eb4full

static int kcov[COVERED];
static uint64_t *pcs[COVERED];
static uint8_t edges[(1 << BITS) / 8], outcomes[(1 << BITS) / 8];

static bool start_one(unsigned int task)
{
	void *at;

	kcov[task] = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov[task] < 0 || ioctl(kcov[task], KCOV_INIT_TRACE, (unsigned long)COVER))
		return false;
	at = mmap(NULL, COVER * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, kcov[task],
		  0);
	if (at == MAP_FAILED)
		return false;
	pcs[task] = at;
	return true;
}

bool cover_start(void)
{
	unsigned int i;

	for (i = 0; i < COVERED; i++)
		if (!start_one(i))
			break;
	if (i == COVERED)
		return true;
	while (i--)
		pcs[i] = NULL;
	return false;
}

void cover_enter(unsigned int task)
{
	if (pcs[task])
		ioctl(kcov[task], KCOV_ENABLE, KCOV_TRACE_PC);
}

void cover_clear(void)
{
	unsigned int i;

	for (i = 0; i < COVERED && pcs[i]; i++)
		__atomic_store_n(&pcs[i][0], 0, __ATOMIC_RELAXED);
}

/* Returns whether the bit was not set yet. */
static bool mark(uint8_t *map, uint64_t hash)
{
	uint64_t at = hash >> (64 - BITS);
	bool fresh = !(map[at / 8] & 1 << at % 8);

	map[at / 8] |= 1 << at % 8;
	return fresh;
}

size_t cover_new(void)
{
	size_t found = 0, i, t, n;
	uint64_t last;

	for (t = 0; t < COVERED && pcs[t]; t++) {
		n = __atomic_load_n(&pcs[t][0], __ATOMIC_RELAXED);
		last = 0;
		for (i = 1; i <= n && i < COVER; i++) {
			found += mark(edges, (pcs[t][i] * MIX_1) ^ last);
			last = pcs[t][i] * MIX_2;
		}
	}
	return found;
}

size_t cover_new_outcomes(const struct program *p, const uint16_t *errors)
{
	size_t found = 0, i;

	for (i = 0; i < p->ncalls; i++) {
		const struct call *c = &p->call[i];
		/* One call that is many. */
		bool many = ops[c->op].call == call_netlink || ops[c->op].call == call_ioctl ||
			ops[c->op].call == call_lane;
		uint64_t what = c->op << 24 | (many ? (c->arg[1] & 0xff) << 16 : 0) | errors[i];

		found += mark(outcomes, what * MIX_1);
	}
	return found;
}
