// SPDX-License-Identifier: GPL-2.0
/*
 * The module around the channel: ports and stages that nobody can see, open files, a
 * cgroup that says what it is told to.
 */
#include "world.h"
#include "cgroup.h"

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

struct world *world_link(u64 capacity, enum faasin_abort_on abort_on,
			 enum faasin_early_close early_close)
{
	struct world *w = kzalloc(sizeof(*w), GFP_KERNEL);

	node_init(&w->workflow.node, FAASIN_KIND_WORKFLOW, "w");
	mutex_init(&w->workflow.accounts_mutex);
	faasin_ledger_init(&w->workflow.accounts);
	stage_init(&w->stages[0], &w->workflow, "a");
	stage_init(&w->stages[1], &w->workflow, "b");
	port_init(&w->out, &w->stages[0], FAASIN_PORT_OUT, FAASIN_DIRECTION_OUT);
	port_init(&w->in, &w->stages[1], FAASIN_PORT_IN, FAASIN_DIRECTION_IN);
	w->channel = faasin_channel_new(&w->out, &w->in, &w->css, capacity, abort_on, early_close);
	BUG_ON(!w->channel);
	w->channel->generation = ++generation;
	w->channel->linked_at = ktime_get_ns();
	BUG_ON(faasin_account_open(w->channel));
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

	faasin_accounts_close(&w->stages[0]);
	faasin_accounts_close(&w->stages[1]);
	faasin_account_workflow(&w->workflow, &all, &gone);
	BUG_ON(!list_empty(&w->workflow.accounts.accounts));
	BUG_ON(v[FAASIN_A_STATS_BYTES_HELD]);
	BUG_ON(v[FAASIN_A_STATS_BYTES_IN] !=
	       v[FAASIN_A_STATS_BYTES_OUT] + v[FAASIN_A_STATS_BYTES_DROPPED]);
	BUG_ON(w->out.node.ref.refcount.refs != 1 || w->in.node.ref.refcount.refs != 1);
	free(w);
}

/* -------------------------------------------------------------------- ports */

struct file *port_open(struct world *w, enum faasin_direction direction, bool nonblock, int *err)
{
	struct faasin_handle *h = kzalloc(sizeof(*h), GFP_KERNEL);
	struct file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	h->direction = direction;
	INIT_LIST_HEAD(&h->extents);
	h->channel = w->channel;
	faasin_channel_get(h->channel);
	*err = direction == FAASIN_DIRECTION_OUT ? faasin_stream_open(h, nonblock) :
						   faasin_session_open(h);
	if (*err) {
		faasin_channel_put(h->channel);
		free(h);
		free(file);
		return NULL;
	}
	file->private_data = h;
	file->f_flags = nonblock ? O_NONBLOCK : 0;
	return file;
}

void port_close(struct file *file)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_channel *ch = h->channel;

	faasin_handle_flush(h);
	faasin_handle_release(h);
	faasin_channel_put(ch);
	free(h);
	free(file);
}

ssize_t port_write_faulty(struct file *file, const void *from, size_t n, size_t faults_at)
{
	struct faasin_handle *h = file->private_data;
	struct iov_iter iter;

	iov_iter_user(&iter, (void *)from, n);
	iter.faults_at = faults_at;
	return faasin_channel_write(h->channel, h, &iter, file->f_flags & O_NONBLOCK, false);
}

ssize_t port_read_faulty(struct file *file, void *to, size_t n, size_t faults_at)
{
	struct faasin_handle *h = file->private_data;
	struct iov_iter iter;

	iov_iter_user(&iter, to, n);
	iter.faults_at = faults_at;
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
	struct faasin_channel *ch = h->channel;
	wait_queue_head_t *wq = h->direction == FAASIN_DIRECTION_OUT ? &ch->writers.poll :
								       &ch->readers.poll;
	unsigned int mask;
	DEFINE_WAIT(wait);

	for (;;) {
		prepare_to_wait(wq, &wait, TASK_INTERRUPTIBLE);
		mask = faasin_stream_poll(h);
		if (mask || signal_pending(current))
			break;
		schedule();
	}
	finish_wait(wq, &wait);
	return mask;
}
