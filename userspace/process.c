// SPDX-License-Identifier: GPL-2.0
/* Descriptors and mappings of processes. */
#include "process.h"

#include <stdarg.h>
#include <sys/mman.h>

#include "world.h"

#define FIRST	1000		/* no descriptor of this program's */
#define FILES	64
#define MAPPINGS	64

/**
 * struct mapping - what a process mapped
 * @at: where; NULL: none
 * @size: bytes
 * @file: a lane's, held, or a port's
 * @task: whose
 */
struct mapping {
	char *at;
	size_t size;
	struct file *file;
	struct task_struct *task;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files[FILES];
static struct mapping mappings[MAPPINGS];

/* Of a descriptor that nothing was installed for. */
static struct file nothing;

/* ------------------------------------------------------------- descriptors */

struct file *anon_inode_getfile(const char *name, const struct file_operations *fops, void *priv,
				int flags)
{
	struct file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	file->f_op = fops;
	file->private_data = priv;
	file->f_flags = flags;
	refcount_set(&file->count, 1);
	return file;
}

void fput(struct file *file)
{
	if (!refcount_dec_and_test(&file->count))
		return;
	file->f_op->release(NULL, file);
	free(file);
}

int get_unused_fd_flags(unsigned int flags)
{
	int fd = -EMFILE, i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < FILES && fd < 0; i++) {
		if (files[i])
			continue;
		files[i] = &nothing;
		fd = FIRST + i;
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

static struct file *files_swap(unsigned int fd, struct file *file)
{
	struct file *was;

	BUG_ON(fd < FIRST || fd >= FIRST + FILES);
	pthread_mutex_lock(&lock);
	was = files[fd - FIRST];
	files[fd - FIRST] = file;
	pthread_mutex_unlock(&lock);
	return was;
}

void put_unused_fd(unsigned int fd)
{
	BUG_ON(files_swap(fd, NULL) != &nothing);
}

void fd_install(unsigned int fd, struct file *file)
{
	BUG_ON(files_swap(fd, file) != &nothing);
}

int process_port(struct file *file)
{
	int fd = get_unused_fd_flags(0);

	BUG_ON(fd < 0);
	fd_install(fd, file);
	return fd;
}

void process_port_close(int fd)
{
	port_close(files_swap(fd, NULL));
}

struct file *process_file(int fd)
{
	struct file *file;

	BUG_ON(fd < FIRST || fd >= FIRST + FILES);
	pthread_mutex_lock(&lock);
	file = files[fd - FIRST];
	pthread_mutex_unlock(&lock);
	BUG_ON(!file || file == &nothing);
	return file;
}

int process_close(int fd)
{
	struct file *file = files_swap(fd, NULL);

	/* Ports have process_port_close(). */
	BUG_ON(!file->f_op);
	fput(file);
	return 0;
}

/* ------------------------------------------------------------------- calls */

static int answer(long ret)
{
	if (ret >= 0)
		return ret;
	errno = ret == -ERESTARTSYS ? EINTR : -ret;
	return -1;
}

int process_ioctl(int fd, unsigned long cmd, ...)
{
	struct file *file = process_file(fd);
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (cmd == FAASIN_IOC_INFO) {
		faasin_stream_info(file->private_data, arg);
		return 0;
	}
	if (cmd == FAASIN_IOC_END) {
		struct faasin_handle *h = file->private_data;

		BUG_ON(h->direction != FAASIN_DIRECTION_OUT);
		return answer(faasin_stream_end(h));
	}
	return answer(faasin_window_ioctl(file, cmd, arg));
}

int process_fcntl(int fd, int cmd, ...)
{
	BUG_ON(cmd != F_GETFL);
	return process_file(fd)->f_flags;
}

/* ---------------------------------------------------------------- mappings */

static void mapping_add(void *at, size_t size, struct file *file)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MAPPINGS && mappings[i].at; i++)
		;
	BUG_ON(i == MAPPINGS);
	mappings[i] = (struct mapping){ at, size, file, current };
	pthread_mutex_unlock(&lock);
}

/* Nothing, if it is none of the caller's. */
static struct mapping mapping_take(void *at)
{
	struct mapping found = { .at = NULL };
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MAPPINGS && !found.at; i++) {
		if (mappings[i].at != at || mappings[i].task != current)
			continue;
		found = mappings[i];
		mappings[i].at = NULL;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void *process_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct vm_area_struct vma = {
		.vm_end = size,
		.vm_pgoff = offset >> PAGE_SHIFT,
		.vm_flags = VM_MAYSHARE | VM_MAYWRITE | VM_MAYEXEC |
			    (prot & PROT_WRITE ? VM_WRITE : 0),
	};
	struct file *file;
	int err;

	if (fd < 0)
		return mmap(at, size, prot, flags, fd, offset);
	file = process_file(fd);
	if (!file->f_op) {
		at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
		BUG_ON(at == MAP_FAILED);
		mapping_add(at, size, file);
		return at;
	}
	err = file->f_op->mmap(file, &vma);
	if (err) {
		errno = -err;
		return MAP_FAILED;
	}
	refcount_inc(&file->count);
	mapping_add(vma.shown, size, file);
	return vma.shown;
}

int process_munmap(void *at, size_t size)
{
	struct mapping m = mapping_take(at);

	/* What is private, and windows. */
	if (!m.file || !m.file->f_op)
		return munmap(at, size);
	fput(m.file);
	return 0;
}

void *process_base(int fd)
{
	struct file *file = process_file(fd);
	void *at = NULL;
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MAPPINGS; i++)
		if (mappings[i].at && mappings[i].file == file)
			at = mappings[i].at;
	pthread_mutex_unlock(&lock);
	BUG_ON(!at);
	return at;
}

void *process_page(const void *at)
{
	struct mapping m = { .at = NULL };
	struct faasin_window *win;
	struct faasin_handle *h;
	size_t offset;
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MAPPINGS; i++)
		if (mappings[i].at && mappings[i].task == current && (char *)at >= mappings[i].at &&
		    (char *)at < mappings[i].at + mappings[i].size)
			m = mappings[i];
	pthread_mutex_unlock(&lock);
	BUG_ON(!m.at || m.file->f_op);
	h = m.file->private_data;
	win = &h->channel->window;
	offset = (char *)at - m.at;
	BUG_ON(offset >> PAGE_SHIFT >= win->nr_pages);
	return (char *)page_address(faasin_window_page(win, offset >> PAGE_SHIFT)) +
		offset_in_page(offset);
}
