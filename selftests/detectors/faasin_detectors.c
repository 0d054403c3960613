// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on request, one for each detector that the tests rely on: a detector that
 * never speaks proves nothing. For guests only: selftests/detectors/run.
 *
 * Writing a fault's name to faasin_detectors in debugfs commits it.
 */
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* Longer than the hung task detector is set to wait; if it is silent, the guest goes on. */
#define HUNG_SECONDS	40

/* Two threads race for so long, unless the report ends it all. */
#define RACE_SECONDS	60

/* Pages that are tried until a certain one comes back: those that a CPU has at hand come first. */
#define PAGES	4096

/* One could stay in a register or on a stack that is scanned; not all of them. */
#define LEAKS		16

static DEFINE_MUTEX(faasin_detectors_a);
static DEFINE_MUTEX(faasin_detectors_b);

static noinline void faasin_detectors_kasan(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	if (!p)
		return;
	kfree(p);
	/* Or the compiler sees what this is. */
	OPTIMIZER_HIDE_VAR(p);
	pr_info("faasin_detectors: read %d\n", READ_ONCE(p[8]));
}

/* No two tasks are needed: the order alone is what is wrong. */
static noinline void faasin_detectors_lockdep(void)
{
	mutex_lock(&faasin_detectors_a);
	mutex_lock(&faasin_detectors_b);
	mutex_unlock(&faasin_detectors_b);
	mutex_unlock(&faasin_detectors_a);

	mutex_lock(&faasin_detectors_b);
	mutex_lock(&faasin_detectors_a);
	mutex_unlock(&faasin_detectors_a);
	mutex_unlock(&faasin_detectors_b);
}

static noinline void faasin_detectors_kmemleak(void)
{
	void *p;
	int i;

	for (i = 0; i < LEAKS; i++) {
		p = kmalloc(128, GFP_KERNEL);
		/* Used, or the compiler does without. */
		OPTIMIZER_HIDE_VAR(p);
	}
}

/* As a mapping would that somebody still has: nothing looks at who writes by one. */
static __no_sanitize_address noinline void faasin_detectors_poke(char *p)
{
	WRITE_ONCE(*p, 1);
}

/* A page that is written to when it is free. That is noticed when it is had again. */
static noinline void faasin_detectors_poison(void)
{
	struct page *page = alloc_page(GFP_KERNEL), *next;
	LIST_HEAD(tried);
	int i;

	if (!page)
		return;
	__free_page(page);
	faasin_detectors_poke((char *)page_address(page) + 100);
	for (i = 0; i < PAGES; i++) {
		next = alloc_page(GFP_KERNEL);
		if (!next)
			break;
		list_add(&next->lru, &tried);
		if (next == page)
			break;
	}
	while (!list_empty(&tried)) {
		next = list_first_entry(&tried, struct page, lru);
		list_del(&next->lru);
		__free_page(next);
	}
}

static noinline void faasin_detectors_hung(void)
{
	schedule_timeout_uninterruptible(HUNG_SECONDS * HZ);
}

static noinline void faasin_detectors_ubsan(void)
{
	int by = 40;

	OPTIMIZER_HIDE_VAR(by);
	pr_info("faasin_detectors: shifted to %d\n", 1 << by);
}

static unsigned long faasin_detectors_raced;

static noinline void faasin_detectors_race(void)
{
	faasin_detectors_raced++;
	OPTIMIZER_HIDE_VAR(faasin_detectors_raced);
}

static int faasin_detectors_racer(void *unused)
{
	while (!kthread_should_stop()) {
		faasin_detectors_race();
		cond_resched();
	}
	return 0;
}

static void faasin_detectors_kcsan(void)
{
	struct task_struct *racer = kthread_run(faasin_detectors_racer, NULL, "faasin_racer");
	unsigned long end = jiffies + RACE_SECONDS * HZ;

	if (IS_ERR(racer))
		return;
	while (time_before(jiffies, end) && !signal_pending(current)) {
		faasin_detectors_race();
		cond_resched();
	}
	kthread_stop(racer);
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{ "kasan", faasin_detectors_kasan },
	{ "lockdep", faasin_detectors_lockdep },
	{ "kmemleak", faasin_detectors_kmemleak },
	{ "poison", faasin_detectors_poison },
	{ "hung", faasin_detectors_hung },
	{ "ubsan", faasin_detectors_ubsan },
	{ "kcsan", faasin_detectors_kcsan },
};

static ssize_t faasin_detectors_write(struct file *file, const char __user *buf, size_t len,
				      loff_t *pos)
{
	char name[16] = "";
	int i;

	if (len >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, buf, len))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (sysfs_streq(name, faults[i].name)) {
			faults[i].commit();
			return len;
		}
	}
	return -EINVAL;
}

static const struct file_operations faasin_detectors_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = faasin_detectors_write,
};

static struct dentry *faasin_detectors_file;

static int __init faasin_detectors_init(void)
{
	faasin_detectors_file = debugfs_create_file("faasin_detectors", 0200, NULL, NULL,
						    &faasin_detectors_fops);
	return PTR_ERR_OR_ZERO(faasin_detectors_file);
}

static void __exit faasin_detectors_exit(void)
{
	debugfs_remove(faasin_detectors_file);
}

module_init(faasin_detectors_init);
module_exit(faasin_detectors_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults on request, to see that they are noticed");
