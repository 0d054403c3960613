// SPDX-License-Identifier: GPL-2.0
#include "lane.h"

#include <sys/uio.h>

bool lane_is_on(int fd)
{
	return window_info(fd).flags & FAASIN_WINDOW_LANE;
}

int lane_open_out(struct lane *l, int flags)
{
	l->w = flow_writer(&l->flow, O_RDWR | flags);
	return l->w < 0 ? l->w : faasctl_window_open(&l->out, l->w, &l->err);
}

int lane_open_in(struct lane *l, int flags)
{
	l->r = flow_reader(&l->flow, flags);
	return l->r < 0 ? l->r : faasctl_window_open(&l->in, l->r, &l->err);
}

void lane_close_out(struct lane *l)
{
	faasctl_window_close(l->out);
	close(l->w);
	l->out = NULL;
	l->w = -1;
}

void lane_close_in(struct lane *l)
{
	faasctl_window_close(l->in);
	close(l->r);
	l->in = NULL;
	l->r = -1;
}

void lane_close_both(struct lane *l)
{
	lane_close_out(l);
	/* Its end is had. */
	get(l, 1, 1);
	lane_close_in(l);
}

int put(struct lane *l, size_t length, unsigned int tag)
{
	struct iovec part = { .iov_len = length };
	int ret = faasctl_window_alloc(l->out, length, &part.iov_base, &l->err);

	if (ret)
		return ret;
	pattern_fill(part.iov_base, length, tag, 0);
	return faasctl_window_send(l->out, &part, 1, &l->err);
}

int get(struct lane *l, size_t length, unsigned int tag)
{
	struct iovec part;
	int ret = faasctl_window_receive(l->in, &part, 1, &l->err);

	if (ret != 1)
		return ret ?: -ENODATA;
	if (part.iov_len != length || !pattern_is(part.iov_base, length, tag, 0))
		return -EBADMSG;
	return faasctl_window_release(l->in, &part, 1, &l->err);
}

void lane_block(struct lane *l, bool block)
{
	fcntl(l->w, F_SETFL, block ? 0 : O_NONBLOCK);
	fcntl(l->r, F_SETFL, block ? 0 : O_NONBLOCK);
}

static void *map_part(int fd, size_t at, size_t end, int prot)
{
	return mmap(NULL, end - at, prot, MAP_SHARED, fd, at);
}

bool raw_open(struct raw *raw, int port, bool output)
{
	int own = PROT_READ | PROT_WRITE, fd = ioctl(port, FAASIN_IOC_LANE);

	if (fd < 0)
		return false;
	raw->state = map_part(fd, 0, FAASIN_LANE_OUT_AT, PROT_READ);
	raw->out = map_part(fd, FAASIN_LANE_OUT_AT, FAASIN_LANE_IN_AT, output ? own : PROT_READ);
	raw->in = map_part(fd, FAASIN_LANE_IN_AT, FAASIN_LANE_SIZE, output ? PROT_READ : own);
	close(fd);
	return raw->state != MAP_FAILED && raw->out != MAP_FAILED && raw->in != MAP_FAILED;
}

void raw_close(struct raw *raw)
{
	munmap(raw->state, FAASIN_LANE_OUT_AT);
	munmap(raw->out, FAASIN_LANE_IN_AT - FAASIN_LANE_OUT_AT);
	munmap(raw->in, FAASIN_LANE_SIZE - FAASIN_LANE_IN_AT);
}

void raw_send(struct raw *raw, uint64_t offset, uint32_t length)
{
	struct faasin_lane_slot *slot = &raw->out->slots[raw->out->sent % FAASIN_LANE_SLOTS];

	*slot = (struct faasin_lane_slot){ offset, length, 1 };
	__atomic_add_fetch(&raw->out->sent, 1, __ATOMIC_SEQ_CST);
}

void raw_return(struct raw *raw, uint64_t offset)
{
	raw->in->offsets[raw->in->returned % FAASIN_LANE_SLOTS] = offset;
	__atomic_add_fetch(&raw->in->returned, 1, __ATOMIC_SEQ_CST);
}

uint64_t falls_to_a_page(struct flow *f)
{
	uint64_t now = flow_stats(f).pool_bytes;

	for (int i = 0; i < DEADLINE * 10 && now > PAGE; i++) {
		usleep(100000);
		now = flow_stats(f).pool_bytes;
	}
	return now;
}
