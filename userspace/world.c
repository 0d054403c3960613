// SPDX-License-Identifier: GPL-2.0
/*
 * The module around the channel: ports and stages that nobody can see, open files, a
 * cgroup that says what it is told to.
 */
#include "world.h"
#include "cgroup.h"
#include "deal.h"
#include "inbox.h"
#include "lane.h"
#include "merge.h"
#include "record.h"

static atomic_long_t events[FAASIN_EVENT_EARLY_CLOSE + 32];
static u64 generation;

/* ------------------------------------------ what other files of the module have */

void faasin_event_send(const struct faasin_event *ev)
{
	BUG_ON(ev->type >= ARRAY_SIZE(events));
	atomic_long_add(1, &events[ev->type]);
}

unsigned long world_events(enum faasin_event_type type)
{
	return atomic_long_read(&events[type]);
}

bool faasin_memory_gone(struct cgroup_subsys_state *css)
{
	return READ_ONCE(css->gone);
}

bool faasin_memory_has_room(struct cgroup_subsys_state *css, size_t size)
{
	return !READ_ONCE(css->is_short);
}

struct page *faasin_memory_pages(struct cgroup_subsys_state *css, unsigned int order, gfp_t gfp)
{
	return alloc_pages(gfp, order);
}

void *faasin_memory_zalloc(struct cgroup_subsys_state *css, size_t size)
{
	return kzalloc(size, GFP_KERNEL);
}

/* Nothing is mapped. */
struct inode *faasin_window_seen_by(struct faasin_window *win, enum faasin_direction direction)
{
	return NULL;
}

void faasin_window_unmap(struct faasin_window *win, enum faasin_direction direction,
			 struct inode *inode, u32 first, u32 nr)
{
}

void faasin_window_await_unmapping(struct faasin_window *win, enum faasin_direction direction)
{
}

void faasin_node_get(struct faasin_node *node)
{
	kref_get(&node->ref);
}

static void node_release(struct kref *ref)
{
	BUG_ON("the world holds each");
}

void faasin_node_put(struct faasin_node *node)
{
	kref_put(&node->ref, node_release);
}

struct faasin_link *faasin_link_between(const struct faasin_port *src,
					const struct faasin_port *dst)
{
	return NULL;
}

/* -------------------------------------------------------------------- links */

void world_begin(void)
{
	task_begin("main", 0);
	work_start();
	BUG_ON(faasin_pool_init());
}

void world_end(void)
{
	faasin_pool_exit();
	work_stop();
	BUG_ON(memory_pages());
	task_end();
}

static void node_init(struct faasin_node *node, enum faasin_kind kind, const char *name)
{
	kref_init(&node->ref);
	node->kind = kind;
	strscpy(node->name, name, sizeof(node->name));
}

static void stage_init(struct faasin_stage *stage, struct faasin_workflow *wf, const char *name)
{
	node_init(&stage->node, FAASIN_KIND_STAGE, name);
	stage->workflow = wf;
	faasin_ledger_init(&stage->sent);
	faasin_ledger_init(&stage->received);
}

static void port_init(struct faasin_port *port, struct faasin_stage *stage, const char *name,
		      enum faasin_direction direction)
{
	node_init(&port->node, FAASIN_KIND_PORT, name);
	port->stage = stage;
	port->direction = direction;
}

/* Without a link. */
static struct world *world_new(void)
{
	struct world *w = kzalloc(sizeof(*w), GFP_KERNEL);

	node_init(&w->workflow.node, FAASIN_KIND_WORKFLOW, "w");
	spin_lock_init(&w->workflow.order);
	mutex_init(&w->workflow.accounts_mutex);
	faasin_ledger_init(&w->workflow.accounts);
	stage_init(&w->stages[0], &w->workflow, "a");
	stage_init(&w->stages[1], &w->workflow, "b");
	port_init(&w->out, &w->stages[0], FAASIN_PORT_OUT, FAASIN_DIRECTION_OUT);
	port_init(&w->in, &w->stages[1], FAASIN_PORT_IN, FAASIN_DIRECTION_IN);
	pthread_rwlock_init(&w->tree, NULL);
	return w;
}

struct world *world_link(u64 capacity, enum faasin_abort_on abort_on,
			 enum faasin_early_close early_close)
{
	struct world *w = world_new();

	w->channel = faasin_channel_new(&w->out, &w->in, &w->css, capacity, abort_on, early_close);
	BUG_ON(!w->channel);
	w->channel->generation = ++generation;
	w->channel->linked_at = ktime_get_ns();
	BUG_ON(faasin_account_open(w->channel));
	return w;
}

struct world *world_link_trusted(u64 capacity)
{
	struct world *w = world_link(capacity, FAASIN_ABORT_ON_CRASH, FAASIN_EARLY_CLOSE_EPIPE);

	w->channel->window.trusted = true;
	return w;
}

void world_unlink(struct world *w)
{
	struct faasin_channel *ch = w->channel;

	w->channel = NULL;
	faasin_streams_unlink(ch);
	faasin_session_drop_rest(ch);
	faasin_channel_put(ch);
}

/* The link is gone, and everything is closed. */
void world_free(struct world *w)
{
	struct faasin_stats all, gone;
	const u64 *v = all.v;

	faasin_channels_exit();
	faasin_accounts_close(&w->stages[0]);
	faasin_accounts_close(&w->stages[1]);
	faasin_account_workflow(&w->workflow, &all, &gone);
	BUG_ON(!list_empty(&w->workflow.accounts.accounts));
	BUG_ON(atomic_read(&w->workflow.windows));
	BUG_ON(v[FAASIN_A_STATS_BYTES_HELD]);
	BUG_ON(v[FAASIN_A_STATS_BYTES_IN] !=
	       v[FAASIN_A_STATS_BYTES_OUT] + v[FAASIN_A_STATS_BYTES_DROPPED]);
	BUG_ON(w->out.node.ref.refcount.refs != 1 || w->in.node.ref.refcount.refs != 1);
	if (w->deal) {
		BUG_ON(w->deal->ref.refcount.refs != 1 || w->deal->nr || w->deal->round);
		faasin_deal_put(w->deal);
	}
	if (w->inbox) {
		BUG_ON(w->inbox->ref.refcount.refs != 1 || w->inbox->nr || w->inbox->session);
		faasin_inbox_put(w->inbox);
	}
	free(w);
}

/* ------------------------------------------------------ several links of an input */

bool world_gather_link(struct world *w, unsigned int i, u64 capacity)
{
	struct faasin_channel *ch;
	bool room;

	ch = faasin_channel_new(&w->outs[i], &w->in, &w->css, capacity, FAASIN_ABORT_ON_CRASH,
				FAASIN_EARLY_CLOSE_EPIPE);
	BUG_ON(!ch);
	BUG_ON(w->inbox->merge && faasin_records_create(ch));
	pthread_rwlock_wrlock(&w->tree);
	BUG_ON(w->links[i]);
	/* Those that were cut and are not read to their end count. */
	room = faasin_inbox_has_room(w->inbox, 1);
	if (room) {
		ch->generation = ++generation;
		ch->linked_at = ktime_get_ns();
		BUG_ON(faasin_account_open(ch));
		faasin_inbox_add(w->inbox, ch);
		w->links[i] = ch;
	}
	pthread_rwlock_unlock(&w->tree);
	if (!room)
		faasin_channel_put(ch);
	return room;
}

/* Under the lock of the tree: the link goes. */
static struct faasin_channel *gather_unlink(struct world *w, unsigned int i)
{
	struct faasin_channel *ch = w->links[i];

	w->links[i] = NULL;
	faasin_streams_unlink(ch);
	return ch;
}

static void gather_bury(struct faasin_channel *ch)
{
	faasin_session_drop_rest(ch);
	faasin_channel_put(ch);
}

void world_gather_cut(struct world *w, unsigned int i)
{
	struct faasin_channel *ch;

	pthread_rwlock_wrlock(&w->tree);
	ch = gather_unlink(w, i);
	pthread_rwlock_unlock(&w->tree);
	gather_bury(ch);
}

struct world *world_gather(u64 capacity, enum faasin_merge merge)
{
	struct world *w = world_new();
	unsigned int i;

	w->inbox = faasin_inbox_new(++generation, merge);
	for (i = 0; i < WORLD_LINKS; i++) {
		port_init(&w->outs[i], &w->stages[0], FAASIN_PORT_OUT, FAASIN_DIRECTION_OUT);
		BUG_ON(!world_gather_link(w, i, capacity));
	}
	return w;
}

/* All links that are left go, and the inbox closes; @fresh, if there is one, takes its place. */
static void gather_close(struct world *w, struct faasin_inbox *fresh)
{
	struct faasin_channel *cut[WORLD_LINKS];
	struct faasin_inbox *in;
	unsigned int i, n = 0;

	pthread_rwlock_wrlock(&w->tree);
	for (i = 0; i < WORLD_LINKS; i++)
		if (w->links[i])
			cut[n++] = gather_unlink(w, i);
	in = w->inbox;
	faasin_inbox_close(in);
	if (fresh)
		w->inbox = fresh;
	pthread_rwlock_unlock(&w->tree);
	while (n)
		gather_bury(cut[--n]);
	/* Of those that were cut before. */
	faasin_inbox_drop_rest(in);
	if (fresh)
		faasin_inbox_put(in);
}

void world_gather_end(struct world *w)
{
	gather_close(w, NULL);
}

void world_gather_renew(struct world *w)
{
	gather_close(w, faasin_inbox_new(++generation, w->inbox->merge));
}

/* The channel of a link, held; NULL: there is none. */
static struct faasin_channel *gather_channel(struct world *w, unsigned int i)
{
	struct faasin_channel *ch;

	pthread_rwlock_rdlock(&w->tree);
	ch = w->links[i];
	if (ch)
		faasin_channel_get(ch);
	pthread_rwlock_unlock(&w->tree);
	return ch;
}

static void gather_set_state(struct world *w, unsigned int i, enum faasin_link_state state)
{
	pthread_rwlock_wrlock(&w->tree);
	if (w->links[i])
		faasin_channel_set_state(w->links[i], state);
	pthread_rwlock_unlock(&w->tree);
}

void world_gather_pause(struct world *w, unsigned int i, unsigned int us)
{
	gather_set_state(w, i, FAASIN_LINK_STATE_PAUSED);
	usleep(us);
	gather_set_state(w, i, FAASIN_LINK_STATE_RUNNING);
}

/* No stream is left, though some may be written and read: false if it does not come to that. */
static bool gather_drained(struct world *w, unsigned int i, u64 *begun)
{
	struct faasin_channel *ch;
	struct faasin_stats st;
	unsigned int look;
	bool drained = false;

	for (look = 0; !drained && look < 1000; look++) {
		ch = gather_channel(w, i);
		if (!ch)
			return false;
		drained = faasin_channel_state(ch) == FAASIN_LINK_STATE_DRAINED;
		faasin_channel_stats(ch, &st);
		faasin_channel_put(ch);
		*begun = st.v[FAASIN_A_STATS_STREAMS_BEGUN];
		usleep(10);
	}
	return drained;
}

void world_gather_drain(struct world *w, unsigned int i, unsigned int us)
{
	u64 begun, later;

	gather_set_state(w, i, FAASIN_LINK_STATE_DRAINING);
	if (gather_drained(w, i, &begun)) {
		usleep(us);
		BUG_ON(!gather_drained(w, i, &later) || later != begun);
	}
	gather_set_state(w, i, FAASIN_LINK_STATE_RUNNING);
}

void world_gather_resize(struct world *w, unsigned int i, u64 capacity)
{
	struct faasin_channel *ch = gather_channel(w, i);

	if (!ch)
		return;
	faasin_channel_resize(ch, capacity, NULL);
	faasin_channel_put(ch);
}

void world_gather_replace_output(struct world *w, unsigned int i)
{
	pthread_rwlock_wrlock(&w->tree);
	if (w->links[i])
		faasin_channel_detach(w->links[i], FAASIN_DIRECTION_OUT);
	pthread_rwlock_unlock(&w->tree);
}

void world_gather_replace_input(struct world *w)
{
	struct faasin_channel *found[FAASIN_FAN_MAX];
	unsigned int i, n;

	pthread_rwlock_wrlock(&w->tree);
	mutex_lock(&w->inbox->mutex);
	n = faasin_inbox_detach(w->inbox, found);
	for (i = 0; i < n; i++)
		faasin_channel_detach(found[i], FAASIN_DIRECTION_IN);
	mutex_unlock(&w->inbox->mutex);
	pthread_rwlock_unlock(&w->tree);
	while (n)
		faasin_channel_put(found[--n]);
}

/* ---------------------------------------------- links that records are dealt to */

void world_deal_link(struct world *w, unsigned int i, u64 capacity)
{
	struct faasin_channel *ch;

	ch = faasin_channel_new(&w->out, &w->ins[i], &w->css, capacity, FAASIN_ABORT_ON_CRASH,
				FAASIN_EARLY_CLOSE_EPIPE);
	BUG_ON(!ch || faasin_records_create(ch));
	pthread_rwlock_wrlock(&w->tree);
	BUG_ON(w->links[i] || !faasin_deal_has_room(w->deal, 1));
	ch->generation = ++generation;
	ch->linked_at = ktime_get_ns();
	BUG_ON(faasin_account_open(ch));
	faasin_deal_add(w->deal, ch);
	w->links[i] = ch;
	pthread_rwlock_unlock(&w->tree);
}

void world_deal_cut(struct world *w, unsigned int i)
{
	struct faasin_channel *ch;

	pthread_rwlock_wrlock(&w->tree);
	ch = gather_unlink(w, i);
	faasin_deal_leave(ch);
	pthread_rwlock_unlock(&w->tree);
	gather_bury(ch);
}

struct world *world_deal(u64 capacity)
{
	struct world *w = world_new();
	unsigned int i;

	w->deal = faasin_deal_new(++generation);
	for (i = 0; i < WORLD_LINKS; i++) {
		port_init(&w->ins[i], &w->stages[1], FAASIN_PORT_IN, FAASIN_DIRECTION_IN);
		world_deal_link(w, i, capacity);
	}
	return w;
}

void world_deal_end(struct world *w)
{
	unsigned int i;

	for (i = 0; i < WORLD_LINKS; i++)
		if (w->links[i])
			world_deal_cut(w, i);
}

void world_deal_replace_output(struct world *w)
{
	struct faasin_channel *found[FAASIN_FAN_MAX];
	unsigned int n;

	pthread_rwlock_wrlock(&w->tree);
	n = faasin_deal_detach(w->deal, found);
	pthread_rwlock_unlock(&w->tree);
	while (n)
		faasin_channel_put(found[--n]);
}

void world_deal_replace_input(struct world *w, unsigned int i)
{
	pthread_rwlock_wrlock(&w->tree);
	if (w->links[i])
		faasin_channel_detach(w->links[i], FAASIN_DIRECTION_IN);
	pthread_rwlock_unlock(&w->tree);
}

/* -------------------------------------------------------------------- ports */

/* What @h has is released if it cannot be opened. */
static struct file *handle_open(struct faasin_handle *h, bool nonblock, int *err)
{
	struct file *file;

	INIT_LIST_HEAD(&h->extents);
	*err = h->direction == FAASIN_DIRECTION_OUT ? faasin_stream_open(h, nonblock) :
						      faasin_session_open(h);
	if (*err) {
		if (h->channel)
			faasin_channel_put(h->channel);
		if (h->inbox)
			faasin_inbox_put(h->inbox);
		if (h->deal)
			faasin_deal_put(h->deal);
		free(h);
		return NULL;
	}
	file = kzalloc(sizeof(*file), GFP_KERNEL);
	file->private_data = h;
	file->f_flags = nonblock ? O_NONBLOCK : 0;
	return file;
}

struct file *world_link_open(struct world *w, unsigned int i, enum faasin_direction direction,
			     int *err)
{
	struct faasin_handle *h = kzalloc(sizeof(*h), GFP_KERNEL);

	pthread_rwlock_rdlock(&w->tree);
	h->channel = w->links[i];
	if (h->channel) {
		faasin_channel_get(h->channel);
		h->replaced = h->channel->replaced[direction];
	}
	pthread_rwlock_unlock(&w->tree);
	if (!h->channel) {
		free(h);
		*err = -ENXIO;
		return NULL;
	}
	h->direction = direction;
	return handle_open(h, false, err);
}

struct file *port_open(struct world *w, enum faasin_direction direction, bool nonblock, int *err)
{
	struct faasin_handle *h = kzalloc(sizeof(*h), GFP_KERNEL);

	h->direction = direction;
	pthread_rwlock_rdlock(&w->tree);
	if (w->inbox) {
		h->inbox = w->inbox;
		h->replaced = h->inbox->replaced;
		faasin_inbox_get(h->inbox);
	} else if (w->deal) {
		BUG_ON(direction != FAASIN_DIRECTION_OUT);
		h->deal = w->deal;
		h->replaced = h->deal->replaced;
		faasin_deal_get(h->deal);
	} else {
		h->channel = w->channel;
		faasin_channel_get(h->channel);
	}
	pthread_rwlock_unlock(&w->tree);
	return handle_open(h, nonblock, err);
}

void port_close(struct file *file)
{
	struct faasin_handle *h = file->private_data;

	if (h->deal)
		faasin_deal_flush(h);
	else
		faasin_handle_flush(h);
	faasin_handle_release(h);
	if (h->channel)
		faasin_channel_put(h->channel);
	if (h->inbox)
		faasin_inbox_put(h->inbox);
	if (h->deal)
		faasin_deal_put(h->deal);
	free(h);
	free(file);
}

ssize_t port_write_faulty(struct file *file, const void *from, size_t n, size_t faults_at)
{
	struct faasin_handle *h = file->private_data;
	struct iov_iter iter;

	iov_iter_user(&iter, (void *)from, n);
	iter.faults_at = faults_at;
	if (h->deal)
		return faasin_deal_write(h, &iter, file->f_flags & O_NONBLOCK, false);
	return faasin_channel_write(h->channel, h, &iter, file->f_flags & O_NONBLOCK, false);
}

ssize_t port_read_faulty(struct file *file, void *to, size_t n, size_t faults_at)
{
	struct faasin_handle *h = file->private_data;
	struct iov_iter iter;
	int err;

	iov_iter_user(&iter, to, n);
	iter.faults_at = faults_at;
	if (faasin_handle_merges(h))
		return faasin_merged_read(h, &iter, file->f_flags & O_NONBLOCK, false);
	err = faasin_handle_bind(h, file->f_flags & O_NONBLOCK);
	if (err)
		return err;
	return faasin_channel_read(h->channel, h, &iter, file->f_flags & O_NONBLOCK, false);
}

ssize_t port_write(struct file *file, const void *from, size_t n)
{
	return port_write_faulty(file, from, n, SIZE_MAX);
}

ssize_t port_read(struct file *file, void *to, size_t n)
{
	return port_read_faulty(file, to, n, SIZE_MAX);
}

unsigned int port_poll(struct file *file)
{
	struct faasin_handle *h = file->private_data;
	wait_queue_head_t *wq = h->inbox ? &h->inbox->readers.poll :
				h->deal ? &h->deal->writers.poll :
				h->direction == FAASIN_DIRECTION_OUT ? &h->channel->writers.poll :
								       &h->channel->readers.poll;
	unsigned int mask;
	DEFINE_WAIT(wait);

	for (;;) {
		prepare_to_wait(wq, &wait, TASK_INTERRUPTIBLE);
		mask = h->inbox ? faasin_inbox_poll(h) :
		       h->deal ? faasin_deal_poll(h) : faasin_stream_poll(h);
		if (mask || signal_pending(current))
			break;
		schedule();
	}
	finish_wait(wq, &wait);
	return mask;
}
