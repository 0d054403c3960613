// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lanes of windows. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lane_internal.h"

#define SLOTS		FAASIN_LANE_SLOTS
#define FROZEN		FAASIN_LANE_FROZEN
#define PAGE		4096u
#define LANE_OWN	(1u << 31)

/* After it was retired: a stream that mixes its ways does not ask for another one all the time. */
#define PAUSES		64

/* How often to look before sleeping: a peer that runs is about to send. */
#define LOOKS		200

static uint64_t load(const __u64 *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

/* Counts on from @was, unless the lane is retired, or somebody else has counted. */
static bool count(__u64 *index, uint64_t was, uint64_t by)
{
	__u64 expected = was;

	return __atomic_compare_exchange_n(index, &expected, was + by, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

static void unmap_all(struct faasctl__lane *lane)
{
	if (!lane->state)
		return;
	munmap(lane->state, FAASIN_LANE_OUT_AT);
	munmap(lane->out, FAASIN_LANE_IN_AT - FAASIN_LANE_OUT_AT);
	munmap(lane->in, FAASIN_LANE_SIZE - FAASIN_LANE_IN_AT);
	lane->state = NULL;
}

static void *part(int fd, size_t at, size_t end, bool own)
{
	int prot = own ? PROT_READ | PROT_WRITE : PROT_READ;
	void *mapped = mmap(NULL, end - at, prot, MAP_SHARED, fd, at);

	return mapped == MAP_FAILED ? NULL : mapped;
}

static void drop(void *at, size_t size)
{
	if (at)
		munmap(at, size);
}

/* Asks for an end. Without one, all goes by calls. */
static void ask(struct faasctl__lane *lane)
{
	int fd = ioctl(lane->fd, FAASIN_IOC_LANE);
	struct faasin_lane_state *state;

	if (fd < 0) {
		/* Another one has it, for now; or it is of no use to ask. */
		lane->pauses = errno == EBUSY || errno == ENOMEM || errno == ENOSPC ? PAUSES : 0;
		return;
	}
	state = part(fd, 0, FAASIN_LANE_OUT_AT, false);
	lane->out = part(fd, FAASIN_LANE_OUT_AT, FAASIN_LANE_IN_AT, lane->output);
	lane->in = part(fd, FAASIN_LANE_IN_AT, FAASIN_LANE_SIZE, !lane->output);
	close(fd);
	if (state && lane->out && lane->in) {
		lane->state = state;
		lane->nonsense = false;
		/* Never 0; nor, in practice, one that anything is still remembered of. */
		lane->number = lane->number + 1 ?: 1;
		return;
	}
	drop(state, FAASIN_LANE_OUT_AT);
	drop(lane->out, FAASIN_LANE_IN_AT - FAASIN_LANE_OUT_AT);
	drop(lane->in, FAASIN_LANE_SIZE - FAASIN_LANE_IN_AT);
	lane->pauses = 0;
}

void faasctl__lane_init(struct faasctl__lane *lane, int fd, bool output, uint64_t window,
			bool trusted)
{
	*lane = (struct faasctl__lane){ .fd = fd, .output = output, .window = window };
	if (!trusted)
		return;
	lane->present = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	if (lane->present == MAP_FAILED) {
		lane->present = NULL;
		return;
	}
	lane->pages = calloc(window / PAGE, sizeof(*lane->pages));
	/* What is not there in a child must not be touched there. */
	if (madvise(lane->present, PAGE, MADV_WIPEONFORK) || !lane->pages) {
		faasctl__lane_close(lane);
		return;
	}
	*lane->present = 1;
	ask(lane);
}

void faasctl__lane_close(struct faasctl__lane *lane)
{
	if (lane->present && *lane->present)
		unmap_all(lane);
	drop(lane->present, PAGE);
	free(lane->pages);
	lane->present = NULL;
	lane->pages = NULL;
	lane->state = NULL;
}

/* Is there one, or may there be? Not in a child, whose parent may hold the lock for ever. */
bool faasctl__lane_here(const struct faasctl__lane *lane)
{
	return lane->present && *lane->present;
}

static uint32_t state_of(const struct faasctl__lane *lane)
{
	return __atomic_load_n(&lane->state->state, __ATOMIC_ACQUIRE);
}

/* Whether the lane is used. One that is retired makes way for the next, after a while. */
bool faasctl__lane_ready(struct faasctl__lane *lane)
{
	if (!faasctl__lane_here(lane))
		return false;
	if (!lane->state) {
		if (!lane->pauses || --lane->pauses)
			return false;
		ask(lane);
		if (!lane->state)
			return false;
	}
	switch (state_of(lane)) {
	case FAASIN_LANE_ON:
		return !lane->nonsense;
	case FAASIN_LANE_RETIRED:
		unmap_all(lane);
		lane->pauses = PAUSES;
		break;
	}
	return false;
}

/* What was passed on is there: if the other side sleeps, it is told. */
static void tell(struct faasctl__lane *lane)
{
	const __u32 *asleep = lane->output ? &lane->state->asleep_in : &lane->state->asleep_out;

	/* Pairs with the kernel's, between saying that it sleeps and looking. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(asleep, __ATOMIC_RELAXED))
		ioctl(lane->fd, FAASIN_IOC_LANE_KICK);
}

/* Room for @n entries behind @at, of a log of which @read and @settled were done with. */
static bool room(struct faasctl__lane *lane, uint64_t at, uint64_t n, const __u64 *read,
		 const __u64 *settled)
{
	if (at + n - (load(read) & ~FROZEN) > SLOTS)
		return false;
	if (at + n - load(settled) > SLOTS)
		ioctl(lane->fd, FAASIN_IOC_LANE_KICK);
	return at + n - load(settled) <= SLOTS;
}

/* ------------------------------------------------------- who has which extent */

/* An extent of @size bytes is this side's; nothing else begins within. */
void faasctl__lane_had(struct faasctl__lane *lane, uint64_t offset, uint64_t size)
{
	uint64_t pages = (offset % PAGE + size + PAGE - 1) / PAGE;

	if (!lane->pages || offset >= lane->window || size > lane->window - offset)
		return;
	memset(lane->pages + offset / PAGE, 0, pages * sizeof(*lane->pages));
	lane->pages[offset / PAGE].had = pages | LANE_OWN;
}

/* The extent that has @offset, as far as this side knows, or NULL. */
static struct faasctl__page *extent_of(const struct faasctl__lane *lane, uint64_t offset)
{
	uint64_t at = offset / PAGE;

	if (offset >= lane->window)
		return NULL;
	while (at && !lane->pages[at].had)
		at--;
	return offset / PAGE - at < (lane->pages[at].had & ~LANE_OWN) ? &lane->pages[at] : NULL;
}

static uint64_t offset_of(const struct faasctl__lane *lane, const struct faasctl__page *page)
{
	return (page - lane->pages) * (uint64_t)PAGE;
}

static void regain(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n)
{
	struct faasctl__page *page;
	size_t i;

	for (i = 0; i < n; i++) {
		page = extent_of(lane, ranges[i].offset);
		if (page)
			page->had |= LANE_OWN;
	}
}

/* Extents that are passed on are no more this side's. False: one was not, and nothing was done. */
static bool lose(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n)
{
	struct faasctl__page *page;
	size_t i;

	for (i = 0; i < n; i++) {
		page = extent_of(lane, ranges[i].offset);
		if (!page || !(page->had & LANE_OWN))
			break;
		page->had &= ~LANE_OWN;
	}
	if (i == n)
		return true;
	regain(lane, ranges, i);
	return false;
}

/* They are about to be passed on by a call. Whether this side had them all. */
bool faasctl__lane_lose(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n)
{
	size_t i;

	if (!lane->pages || !lose(lane, ranges, n))
		return false;
	/* So that none is believed to come back by a lane. */
	for (i = 0; i < n; i++)
		extent_of(lane, ranges[i].offset)->lane = 0;
	return true;
}

/* They were not. */
void faasctl__lane_regain(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n)
{
	regain(lane, ranges, n);
}

/* --------------------------------------------------------------- producers */

static void give_back(struct faasctl__lane *lane, uint64_t offset)
{
	struct faasin_range range = { .offset = offset };
	struct faasin_ranges arg = { .ranges = (uintptr_t)&range, .count = 1 };

	ioctl(lane->fd, FAASIN_IOC_RETURN, &arg);
}

/* What came back, if this side sent it by this lane, and it did not come back since; or NULL. */
static struct faasctl__page *came_back(const struct faasctl__lane *lane, uint64_t offset)
{
	struct faasctl__page *page;

	if (offset >= lane->window || offset % PAGE)
		return NULL;
	page = &lane->pages[offset / PAGE];
	return page->lane == lane->number && !(page->had & LANE_OWN) ? page : NULL;
}

/*
 * Something that came back, if it is large enough and not much too large. What is not goes, so
 * that the kernel can make another out of it. No more than the log holds is looked at, however
 * the other side counts on.
 */
bool faasctl__lane_alloc(struct faasctl__lane *lane, size_t size, __u64 *offset)
{
	uint64_t popped, returned, at, pages = (size + PAGE - 1) / PAGE;
	struct faasctl__page *page;
	int looks;

	if (!lane->output || !size || size > lane->window || !faasctl__lane_ready(lane))
		return false;
	for (looks = 0; looks < SLOTS; looks++) {
		popped = load(&lane->out->popped);
		returned = load(&lane->in->returned) & ~FROZEN;
		if (popped & FROZEN || popped == returned)
			return false;
		/* Once: what it says now is what counts. */
		at = __atomic_load_n(&lane->in->offsets[popped % SLOTS], __ATOMIC_RELAXED);
		page = came_back(lane, at);
		/* Others of this process wait for the lock. */
		if (returned - popped > SLOTS || !page) {
			lane->nonsense = true;
			return false;
		}
		if (!count(&lane->out->popped, popped, 1))
			return false;
		/* Whatever becomes of it, it does not come back again. */
		page->lane = 0;
		if (page->had >= pages && page->had / 4 <= pages) {
			page->had |= LANE_OWN;
			*offset = offset_of(lane, page);
			return true;
		}
		give_back(lane, offset_of(lane, page));
	}
	return false;
}

/* What SEND would refuse is for it to refuse. */
static bool may_send(const struct faasctl__lane *lane, const struct faasin_range *r)
{
	uint32_t had = r->offset < lane->window ? lane->pages[r->offset / PAGE].had : 0;

	return had & LANE_OWN && !(r->offset % PAGE) && r->length &&
	       r->length <= (uint64_t)(had & ~LANE_OWN) * PAGE;
}

bool faasctl__lane_send(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n)
{
	struct faasin_lane_slot *slot;
	uint64_t sent;
	size_t i;

	if (!lane->output || !faasctl__lane_ready(lane))
		return false;
	for (i = 0; i < n; i++)
		if (!may_send(lane, &ranges[i]))
			return false;
	sent = load(&lane->out->sent);
	if (sent & FROZEN || !room(lane, sent, n, &lane->in->taken, &lane->state->settled_sent) ||
	    !lose(lane, ranges, n))
		return false;
	for (i = 0; i < n; i++) {
		slot = &lane->out->slots[(sent + i) % SLOTS];
		slot->offset = ranges[i].offset;
		slot->length = ranges[i].length;
		slot->last = i + 1 == n;
		/* Before it can come back. */
		lane->pages[ranges[i].offset / PAGE].lane = lane->number;
	}
	if (!count(&lane->out->sent, sent, n)) {
		regain(lane, ranges, n);
		return false;
	}
	tell(lane);
	return true;
}

/* --------------------------------------------------------------- consumers */

/* The next record: its ranges, 0 if there is none, or it makes no sense; or -EMSGSIZE. */
static int receive(struct faasctl__lane *lane, struct faasin_range *ranges, size_t n)
{
	const struct faasin_lane_slot *slot;
	uint64_t taken = load(&lane->in->taken), sent = load(&lane->out->sent) & ~FROZEN;
	size_t i = 0;
	bool last;

	if (taken & FROZEN || sent == taken)
		return 0;
	if (sent - taken > SLOTS)
		goto nonsense;
	do {
		if (taken + i == sent || i == FAASIN_RANGES_MAX)
			goto nonsense;
		if (i == n)
			return -EMSGSIZE;
		slot = &lane->out->slots[(taken + i) % SLOTS];
		/* Each once: what is checked is what is used. */
		ranges[i].offset = __atomic_load_n(&slot->offset, __ATOMIC_RELAXED);
		ranges[i].length = __atomic_load_n(&slot->length, __ATOMIC_RELAXED);
		last = __atomic_load_n(&slot->last, __ATOMIC_RELAXED);
		if (ranges[i].offset >= lane->window || ranges[i].offset % PAGE ||
		    !ranges[i].length || ranges[i].length > lane->window - ranges[i].offset)
			goto nonsense;
		i++;
	} while (!last);
	return count(&lane->in->taken, taken, i) ? (int)i : 0;

nonsense:
	lane->nonsense = true;
	return 0;
}

/* As receive(), having looked for a while. */
int faasctl__lane_receive(struct faasctl__lane *lane, struct faasin_range *ranges, size_t n)
{
	int looks, got = 0, i;

	if (!faasctl__lane_ready(lane))
		return 0;
	for (looks = 0; !got && looks < LOOKS; looks++) {
		got = receive(lane, ranges, n);
		if (!got && (lane->nonsense || state_of(lane) != FAASIN_LANE_ON))
			break;
#ifdef __x86_64__
		if (!got)
			__builtin_ia32_pause();
#endif
	}
	for (i = 0; i < got; i++) {
		faasctl__lane_had(lane, ranges[i].offset, ranges[i].length);
		lane->pages[ranges[i].offset / PAGE].lane = lane->number;
	}
	return got;
}

/* What landed, or was not taken by this lane, is for RETURN: the producer knows nothing of it. */
static bool may_release(const struct faasctl__lane *lane, const struct faasin_range *r)
{
	const struct faasctl__page *page = extent_of(lane, r->offset);

	return page && page->lane == lane->number;
}

bool faasctl__lane_release(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n)
{
	uint64_t returned;
	size_t i;

	if (!faasctl__lane_ready(lane))
		return false;
	for (i = 0; i < n; i++)
		if (!may_release(lane, &ranges[i]))
			return false;
	returned = load(&lane->in->returned);
	if (returned & FROZEN ||
	    !room(lane, returned, n, &lane->out->popped, &lane->state->settled_returned) ||
	    !lose(lane, ranges, n))
		return false;
	for (i = 0; i < n; i++)
		__atomic_store_n(&lane->in->offsets[(returned + i) % SLOTS],
				 offset_of(lane, extent_of(lane, ranges[i].offset)),
				 __ATOMIC_RELAXED);
	if (!count(&lane->in->returned, returned, n)) {
		regain(lane, ranges, n);
		return false;
	}
	tell(lane);
	return true;
}

/* Whether to sleep by FAASIN_IOC_LANE_WAIT: there are two ends. */
bool faasctl__lane_waits(struct faasctl__lane *lane)
{
	uint32_t state;

	if (!faasctl__lane_here(lane) || !lane->state || lane->nonsense)
		return false;
	state = state_of(lane);
	return state == FAASIN_LANE_ON || state == FAASIN_LANE_OFFERED;
}
