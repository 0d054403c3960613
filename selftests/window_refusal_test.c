// SPDX-License-Identifier: GPL-2.0
/* Windows: calls that ask for nonsense, or for what is not the caller's. */
#include "window_extent.h"

TRUSTED_VARIANTS;

TEST_F(extent, asks_for_nonsense)
{
	struct faasin_range range = { 0 };
	struct faasin_ranges arg = { .ranges = (uintptr_t)&range, .count = 1 };

	EXPECT_EQ(-EINVAL, window_alloc(self->w, 0));
	range.offset = PAGE;
	range.length = PAGE;
	EXPECT_EQ(-EINVAL, sys(ioctl(self->w, FAASIN_IOC_ALLOC, &range)));
	EXPECT_EQ(-EFAULT, sys(ioctl(self->w, FAASIN_IOC_ALLOC, NULL)));
	EXPECT_EQ(-EFAULT, sys(ioctl(self->w, FAASIN_IOC_WINDOW, NULL)));
	EXPECT_EQ(-EBADF, window_alloc(self->r, PAGE));
	EXPECT_EQ(-EBADF, window_send(self->r, 0, PAGE));
	EXPECT_EQ(-EBADF, window_take(self->w, &range));
	for (int i = 0; i < 3; i++) {
		static const unsigned long calls[] = { FAASIN_IOC_SEND, FAASIN_IOC_RETURN, FAASIN_IOC_TAKE };
		int fd = i == 2 ? self->r : self->w;

		EXPECT_EQ(-EFAULT, sys(ioctl(fd, calls[i], NULL)));
		arg.count = 0;
		EXPECT_EQ(-EINVAL, sys(ioctl(fd, calls[i], &arg)));
		arg.count = FAASIN_RANGES_MAX + 1;
		EXPECT_EQ(-EINVAL, sys(ioctl(fd, calls[i], &arg)));
		arg.count = 1;
		arg.reserved = 1;
		EXPECT_EQ(-EINVAL, sys(ioctl(fd, calls[i], &arg)));
		arg.reserved = 0;
	}
	EXPECT_EQ(-EFAULT, window_call(self->w, FAASIN_IOC_SEND, NULL, 1));
	EXPECT_EQ(-EFAULT, window_call(self->w, FAASIN_IOC_RETURN, NULL, 1));
	SEND();
	EXPECT_EQ(-EFAULT, window_call(self->r, FAASIN_IOC_TAKE, NULL, 1));
	EXPECT_INTACT();
}

TEST_F(extent, has_nowhere_to_be_told)
{
	struct faasin_range *half = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct faasin_ranges arg = { .ranges = (uintptr_t)half, .count = 1 };
	struct faasin_range *range = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before = flow_stats(&self->flow).pool_bytes;

	range->length = PAGE;
	ASSERT_EQ(0, mprotect(range, PAGE, PROT_READ));
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(-EFAULT, sys(ioctl(self->w, FAASIN_IOC_ALLOC, range)));
	EXPECT_LE(flow_stats(&self->flow).pool_bytes, before + self->info.granule);
	SEND();
	EXPECT_EQ(-EFAULT, sys(ioctl(self->r, FAASIN_IOC_TAKE, &arg)));
	EXPECT_INTACT();
	EXPECT_EQ(0, window_return(self->r, self->at));
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(-EFAULT, sys(ioctl(self->r, FAASIN_IOC_TAKE, &arg)));
	EXPECT_READ(self->r, "abc");
}

TEST_F(extent, sends_what_is_not_its_own)
{
	struct faasin_range two[2] = { { self->at, PAGE }, { self->at, PAGE } };

	EXPECT_EQ(-EINVAL, window_send(self->w, self->at, 0));
	EXPECT_EQ(-EINVAL, window_send(self->w, self->at + 1, PAGE));
	EXPECT_EQ(-EINVAL, window_send(self->w, self->at + 100, 1));
	EXPECT_EQ(-EACCES, window_send(self->w, self->at + PAGE, PAGE));
	EXPECT_EQ(-EACCES, window_send(self->w, self->info.size - PAGE, PAGE));
	EXPECT_EQ(-EACCES, window_send(self->w, self->info.size, PAGE));
	EXPECT_EQ(-EACCES, window_send(self->w, 1ull << 50, PAGE));
	EXPECT_EQ(-EACCES, window_send(self->w, -PAGE, PAGE));
	EXPECT_EQ(-ERANGE, window_send(self->w, self->at, self->info.size + PAGE));
	EXPECT_EQ(-ERANGE, window_send(self->w, self->at, UINT64_MAX));
	/* All or none. */
	EXPECT_EQ(-EACCES, window_call(self->w, FAASIN_IOC_SEND, two, 2));
	two[1].offset += PAGE;
	EXPECT_EQ(-EACCES, window_call(self->w, FAASIN_IOC_SEND, two, 2));
	EXPECT_EQ(-EACCES, window_call(self->w, FAASIN_IOC_RETURN, two, 2));
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(0, window_poke(self->mine, pattern(1, 0)));
	SEND();
	EXPECT_EQ(-EACCES, window_send(self->w, self->at, PAGE));
	EXPECT_EQ(-EACCES, window_return(self->w, self->at));
	EXPECT_INTACT();
	EXPECT_EQ(-EACCES, window_send(self->w, self->at, PAGE));
	EXPECT_EQ(-EACCES, window_return(self->w, self->at));
	EXPECT_EQ(0, window_return(self->r, self->at));
	EXPECT_EQ(-EACCES, window_send(self->w, self->at, PAGE));
}

TEST_F(extent, returns_what_is_not_its_own)
{
	struct faasin_range two[2] = { { self->at, 0 }, { self->at + PAGE, 0 } };

	EXPECT_EQ(-EACCES, window_return(self->r, self->at));
	SEND();
	EXPECT_EQ(-EACCES, window_return(self->r, self->at));
	EXPECT_INTACT();
	EXPECT_EQ(-EACCES, window_return(self->r, self->info.size - 1));
	EXPECT_EQ(-EACCES, window_return(self->r, self->info.size));
	EXPECT_EQ(-EACCES, window_return(self->r, UINT64_MAX));
	EXPECT_EQ(-EACCES, window_call(self->r, FAASIN_IOC_RETURN, two, 2));
	EXPECT_EQ(pattern(1, 0), window_peek(self->in + self->at));
	EXPECT_EQ(0, window_return(self->r, self->at));
	EXPECT_EQ(-EACCES, window_return(self->r, self->at));
}

TEST_F(extent, sends_when_its_stream_is_over)
{
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(-EPIPE, window_send(self->w, self->at, PAGE));
	EXPECT_EQ(-EPIPE, window_alloc(self->w, PAGE));
	EXPECT_TRUE(pattern_is(self->mine, variant->length, 1, 0));
	EXPECT_EQ(0, window_return(self->w, self->at));
	if (!variant->trusted)
		EXPECT_EQ(-SIGBUS, window_peek(self->mine));
}

TEST_F(extent, sends_into_its_own_window)
{
	/* The buffer of a call is window memory of the same channel. */
	EXPECT_EQ(PAGE, sys(write(self->w, self->mine, PAGE)));
	EXPECT_EQ(100, sys(read(self->r, self->mine + PAGE, 100)));
	EXPECT_TRUE(pattern_is(self->mine + PAGE, 100, 1, 0));
	/* The other window shows it on a trusted link alone, and never to be written to. */
	EXPECT_EQ(variant->trusted ? PAGE : -EFAULT, sys(write(self->w, self->in + self->at, PAGE)));
	EXPECT_EQ(-EFAULT, sys(read(self->r, (void *)self->in, PAGE)));
	EXPECT_EQ((variant->trusted ? 2 : 1) * PAGE - 100, unread(self->r));
}

/* ---------------------------------------------------------------- one page */

FIXTURE(tiny)
{
	struct flow flow;
};

FIXTURE_SETUP(tiny)
{
	struct flow_options options = { .capacity = PAGE };

	FLOW_SETUP(&self->flow, &options);
}

FIXTURE_TEARDOWN(tiny)
{
	FLOW_TEARDOWN(&self->flow);
}

TEST_F(tiny, has_no_window)
{
	int w = flow_writer(&self->flow, O_RDWR), r = flow_reader(&self->flow, O_NONBLOCK);
	struct faasin_window_info info;
	struct faasin_range range;

	EXPECT_EQ(-EINVAL, sys(ioctl(w, FAASIN_IOC_WINDOW, &info)));
	EXPECT_EQ(-EINVAL, window_try_map(w, PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, window_try_map(r, PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EMSGSIZE, window_alloc(w, 1));
	EXPECT_EQ(-EACCES, window_send(w, 0, 1));
	EXPECT_EQ(-EINVAL, window_take(r, &range));
	EXPECT_EQ(-EACCES, window_return(r, 0));
	EXPECT_WRITE(w, "abc");
	EXPECT_READ(r, "abc");
	close(w);
	close(r);
}

TEST_HARNESS_MAIN
