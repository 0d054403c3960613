// SPDX-License-Identifier: GPL-2.0
/*
 * Windows in processes: mmap(), and faults, which look at who owns what. window.h
 * has the rules and the lock.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/wait_bit.h>
#include <asm/pgalloc.h>

#include "channel.h"
#include "compat.h"
#include "inbox.h"
#include "merge.h"
#include "window.h"

/* What a fault may show: a run of offsets, in pages, and the page of the first. */
struct view {
	const struct faasin_window *win;	/* NULL: @page and those behind it */
	struct page *page;
	u64 first;
	u64 nr;
};

/* Under the window's lock: likewise on a trusted link, of what extents are made of. */
static bool view_trusted(const struct faasin_handle *h, u32 page, struct view *view)
{
	u32 first, nr;

	/* Pairs with faasin_window_revoke(). */
	if (faasin_handle_replaced(h) ||
	    !faasin_window_shows(&h->channel->window, page, &first, &nr))
		return false;
	view->win = &h->channel->window;
	view->first = first;
	view->nr = nr;
	return true;
}

/* Under the window's lock: what the owner of @h may see around a page. */
static bool view_find(struct faasin_handle *h, u64 page, struct view *view)
{
	struct faasin_window *win = &h->channel->window;
	struct faasin_extent *e;

	if (page >= win->nr_pages) {
		view->win = NULL;
		view->page = h->landing;
		view->first = win->nr_pages;
		view->nr = 1U << h->landing_order;
		return h->landing && page - view->first < view->nr;
	}
	if (win->trusted)
		return view_trusted(h, page, view);
	e = faasin_extent_at(win, page);
	if (!e || e->owner != h)
		return false;
	view->win = win;
	view->first = e->first;
	view->nr = e->nr;
	return true;
}

static struct page *view_page(const struct view *view, u64 page)
{
	return view->win ? faasin_window_page(view->win, page) :
			   view->page + (page - view->first);
}

/* For each entry in turn: what it is to show. */
struct entries {
	struct vm_area_struct *vma;
	const struct view *view;
};

static u64 page_at(const struct vm_area_struct *vma, unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

static int entry_set(pte_t *pte, unsigned long addr, void *data)
{
	const struct entries *to = data;
	struct page *page;

	/* Another thread's fault may have been here before. */
	if (pte_present(ptep_get(pte)))
		return 0;
	page = view_page(to->view, page_at(to->vma, addr));
	set_pte_at(to->vma->vm_mm, addr, pte,
		   pte_mkspecial(pfn_pte(page_to_pfn(page), to->vma->vm_page_prot)));
	return 0;
}

/*
 * The page table that the kernel allocated ahead, if there is none yet: under the
 * window's lock, the peer would wait for that, too. False: to be tried again.
 */
static bool table_ready(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	spinlock_t *lock = pmd_lock(mm, vmf->pmd);
	bool ready;

	if (pmd_none(*vmf->pmd) && vmf->prealloc_pte) {
		mm_inc_nr_ptes(mm);
		/* What walks tables without a lock sees it cleared. */
		smp_wmb();
		pmd_populate(mm, vmf->pmd, vmf->prealloc_pte);
		vmf->prealloc_pte = NULL;
	}
	/* Another thread may have inserted a larger entry meanwhile. */
	ready = !pmd_none(*vmf->pmd) && !pmd_leaf(*vmf->pmd);
	spin_unlock(lock);
	return ready;
}

/*
 * All of the extent that one page table can show: whoever touches a part of it is
 * likely to touch the rest. One at a time, the kernel's own function would cost
 * more than copying does.
 */
static vm_fault_t view_map(struct vm_fault *vmf, const struct view *view)
{
	struct vm_area_struct *vma = vmf->vma;
	struct entries to = { .vma = vma, .view = view };
	unsigned long begin = max(vmf->address & PMD_MASK, vma->vm_start);
	unsigned long end = min((vmf->address & PMD_MASK) + PMD_SIZE, vma->vm_end);
	u64 first = page_at(vma, begin), last = page_at(vma, end);

	if (view->first > first)
		begin += (view->first - first) << PAGE_SHIFT;
	if (view->first + view->nr < last)
		end -= (last - view->first - view->nr) << PAGE_SHIFT;
	if (!table_ready(vmf))
		return VM_FAULT_NOPAGE;
	return apply_to_page_range(vma->vm_mm, begin, end - begin, entry_set, &to) ?
		VM_FAULT_OOM : VM_FAULT_NOPAGE;
}

static vm_fault_t window_fault(struct vm_fault *vmf)
{
	struct faasin_handle *h = vmf->vma->vm_file->private_data;
	struct faasin_window *win = &h->channel->window;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	struct view view;

	mutex_lock(&win->lock);
	if (view_find(h, vmf->pgoff, &view))
		ret = view_map(vmf, &view);
	mutex_unlock(&win->lock);
	return ret;
}

#ifdef FAASIN_HAVE_SPECIAL_PMD
static vm_fault_t window_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct faasin_handle *h = vma->vm_file->private_data;
	struct faasin_window *win = &h->channel->window;
	unsigned long addr = vmf->address & PMD_MASK;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	struct view view;
	u64 first;

	if (order != PMD_ORDER || win->chunk_shift != PMD_ORDER ||
	    addr < vma->vm_start || addr + PMD_SIZE > vma->vm_end)
		return VM_FAULT_FALLBACK;
	first = page_at(vma, addr);
	if (first & (PTRS_PER_PTE - 1))
		return VM_FAULT_FALLBACK;

	mutex_lock(&win->lock);
	/* What is mapped there is only changed under this lock; a page table stays. */
	if ((pmd_none(*vmf->pmd) || pmd_leaf(*vmf->pmd)) &&
	    view_find(h, first, &view) && view.win &&
	    first + PTRS_PER_PTE <= view.first + view.nr &&
	    win->chunks[first >> PMD_ORDER].page)
		ret = faasin_compat_insert_pmd(vmf, view_page(&view, first),
					       vma->vm_flags & VM_WRITE);
	mutex_unlock(&win->lock);
	return ret;
}
#endif

/* A part of a mapping becomes one of its own: window_may_split() said so. */
static void window_open(struct vm_area_struct *vma)
{
	struct faasin_handle *h = vma->vm_file->private_data;

	atomic_inc(&h->channel->window.mappings);
}

static int window_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	struct faasin_handle *h = vma->vm_file->private_data;

	/* Several processes may pass here at once: so many more, then. */
	return atomic_read(&h->channel->window.mappings) < FAASIN_MAPPINGS_MAX ? 0 : -ENOMEM;
}

/* Descriptors tell whose a window is, addresses do not. */
static int window_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

/*
 * A process that dies loses its mappings before its descriptors, or has none: how it
 * dies is what counts, not what it held the stream by. What a dying process unmaps
 * once it has no files is not its own, but of one that it was looking at.
 */
static void window_close(struct vm_area_struct *vma)
{
	struct faasin_handle *h = vma->vm_file->private_data;

	/* All that it showed was unmapped before. */
	atomic_dec(&h->channel->window.mappings);
	if (current->flags & PF_EXITING && !current->mm && current->files)
		faasin_handle_flush(h);
}

static const struct vm_operations_struct window_vm_ops = {
	.open = window_open,
	.close = window_close,
	.may_split = window_may_split,
	.fault = window_fault,
#ifdef FAASIN_HAVE_SPECIAL_PMD
	.huge_fault = window_huge_fault,
#endif
	.mremap = window_mremap,
};

static bool window_has(struct faasin_handle *h, struct vm_area_struct *vma)
{
	u64 pages = READ_ONCE(h->channel->window.nr_pages);

	if (!pages)
		return false;
	if (h->direction == FAASIN_DIRECTION_IN)
		pages += READ_ONCE(h->channel->pool.block_size) >> PAGE_SHIFT;
	return vma->vm_pgoff <= pages && vma_pages(vma) <= pages - vma->vm_pgoff;
}

/**
 * faasin_window_seen_by() - by what an end's open files have a window mapped
 * @win: window, locked
 * @direction: the end's
 *
 * Return: an inode, which stays until faasin_window_unmap(), which is to follow; or NULL, if
 * nothing is mapped.
 */
struct inode *faasin_window_seen_by(struct faasin_window *win, enum faasin_direction direction)
{
	struct inode *inode = win->inodes[direction];

	lockdep_assert_held(&win->lock);
	/* A reference would not hold the superblock, and might be the last one, dropped here. */
	if (inode)
		atomic_inc(&win->unmapping[direction]);
	return inode;
}

/**
 * faasin_window_unmap() - no mapping shows some pages any more
 * @win: window, not locked
 * @direction: the end's
 * @inode: of faasin_window_seen_by(), which was asked after no fault showed them any more
 * @first: page
 * @nr: how many
 *
 * Of what another channel of the same port has mapped, the same is unmapped, and faults in again.
 */
void faasin_window_unmap(struct faasin_window *win, enum faasin_direction direction,
			 struct inode *inode, u32 first, u32 nr)
{
	if (!inode)
		return;
	unmap_mapping_range(inode->i_mapping, (loff_t)first << PAGE_SHIFT,
			    (loff_t)nr << PAGE_SHIFT, 1);
	if (atomic_dec_and_test(&win->unmapping[direction]))
		wake_up_var(&win->unmapping[direction]);
}

/**
 * faasin_window_await_unmapping() - before the last open file of an end that is counted goes
 * @win: window, locked; not so meanwhile
 * @direction: the end's
 *
 * Who unmaps waits for no file that is being closed, so it is soon done.
 */
void faasin_window_await_unmapping(struct faasin_window *win, enum faasin_direction direction)
{
	lockdep_assert_held(&win->lock);
	while (win->counted[direction] == 1 && atomic_read(&win->unmapping[direction])) {
		mutex_unlock(&win->lock);
		wait_var_event(&win->unmapping[direction],
			       !atomic_read(&win->unmapping[direction]));
		mutex_lock(&win->lock);
	}
}

/**
 * faasin_window_revoke() - those that were replaced see a trusted link's memory no more
 * @ch: channel, held; its count of replacements is another by now
 * @direction: of the port
 *
 * On a sealed link they have their own extents, which nobody else sees. It takes time with the
 * number of mappings, so no lock is held that others wait for.
 */
void faasin_window_revoke(struct faasin_channel *ch, enum faasin_direction direction)
{
	struct faasin_window *win = &ch->window;
	struct inode *inode;
	u32 nr;

	if (!win->trusted)
		return;
	/* A fault that saw the old count has inserted by then. */
	mutex_lock(&win->lock);
	inode = faasin_window_seen_by(win, direction);
	nr = win->nr_pages;
	mutex_unlock(&win->lock);
	faasin_window_unmap(win, direction, inode, 0, nr);
}

static void window_mapped(struct faasin_window *win, struct file *file)
{
	struct faasin_handle *h = file->private_data;

	mutex_lock(&win->lock);
	win->inodes[h->direction] = file_inode(file);
	mutex_unlock(&win->lock);
}

/**
 * faasin_window_mmap() - mmap() of a port
 * @file: open file of a port
 * @vma: what is asked for
 *
 * Return: 0 or what uapi/faasin.h says.
 */
int faasin_window_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct faasin_handle *h = file->private_data;
	bool out = h->direction == FAASIN_DIRECTION_OUT;
	int err;

	if (!IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL))
		return -ENODEV;
	/* A shared mapping that is only read has VM_MAYSHARE, but not VM_SHARED. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (faasin_handle_merges(h) || h->deal)
		return -EOPNOTSUPP;
	/* Of which link, FAASIN_IOC_WINDOW waits to know, if that will ever be. */
	if (!faasin_handle_bound(h))
		return READ_ONCE(h->session->result) == FAASIN_RESULT_REPLACED ? -ESTALE : -EAGAIN;
	/* An extent has one owner. */
	if (h->channel->branch)
		return -EOPNOTSUPP;
	if (faasin_handle_replaced(h))
		return -ESTALE;
	if (!window_has(h, vma))
		return -EINVAL;
	err = faasin_window_count(h);
	if (err)
		return err;
	window_mapped(&h->channel->window, file);
	/* From here on nobody resizes its window; but somebody may have just now. */
	if (!window_has(h, vma))
		return -EINVAL;
	if (!atomic_add_unless(&h->channel->window.mappings, 1, FAASIN_MAPPINGS_MAX))
		return -ENOMEM;
	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vm_flags_clear(vma, out ? VM_MAYEXEC : VM_MAYEXEC | VM_MAYWRITE);
	vma->vm_ops = &window_vm_ops;
	return 0;
}
