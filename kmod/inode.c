// SPDX-License-Identifier: GPL-2.0
/*
 * What the tree is to the VFS: directories that are looked up in and listed, ports,
 * and self. Inodes and directory entries are made when they are looked up; what they
 * show is in workflow.c.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat.h"
#include "inode.h"
#include "port.h"
#include "workflow.h"

/* Entries that a listing looks up at a time. */
#define LIST_BATCH		32

/* Where self leads to: two names, a slash, the end. */
#define SELF_SIZE		(2 * FAASIN_NAME_MAX + 2)

static const struct inode_operations dir_iops;
static const struct inode_operations port_iops;
static const struct inode_operations self_iops;
static const struct file_operations dir_fops;

/* ----------------------------------------------------------------- inodes */

static struct inode *inode_get(struct super_block *sb, unsigned long ino,
			       struct faasin_node *node)
{
	struct inode *inode = iget_locked(sb, ino);

	if (!inode || !(inode->i_state & I_NEW))
		return inode;
	/* The root has no node. */
	if (node)
		faasin_node_get(node);
	inode->i_private = node;
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	faasin_compat_inode_times(inode);
	return inode;
}

/**
 * faasin_port_attributes() - a port's inode gets the owner and mode of its stage
 * @inode: the inode
 * @port: the port; the caller holds faasin_tree_sem
 */
void faasin_port_attributes(struct inode *inode, const struct faasin_port *port)
{
	const struct faasin_stage *st = port->stage;

	inode->i_uid = st->uid;
	inode->i_gid = st->gid;
	WRITE_ONCE(inode->i_mode, S_IFIFO | st->mode);
}

/**
 * faasin_node_inode() - the inode of a directory or a port
 * @sb: superblock
 * @node: the workflow, stage or port, held; NULL for the root
 *
 * A port's attributes are not set yet.
 *
 * Return: the inode, or -ENOMEM.
 */
struct inode *faasin_node_inode(struct super_block *sb, struct faasin_node *node)
{
	struct inode *inode = inode_get(sb, faasin_node_ino(node), node);

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(inode->i_state & I_NEW))
		return inode;
	if (faasin_dir_kind(node) == FAASIN_KIND_PORT) {
		inode->i_mode = S_IFIFO;
		inode->i_op = &port_iops;
		inode->i_fop = &faasin_port_fops;
	} else {
		inode->i_mode = S_IFDIR | 0555;
		inode->i_op = &dir_iops;
		inode->i_fop = &dir_fops;
		set_nlink(inode, 2);
	}
	unlock_new_inode(inode);
	return inode;
}

static struct inode *self_inode(struct super_block *sb, struct faasin_node *dir)
{
	struct inode *inode = inode_get(sb, faasin_self_ino(dir), dir);

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(inode->i_state & I_NEW))
		return inode;
	inode->i_mode = S_IFLNK | 0777;
	inode->i_op = &self_iops;
	unlock_new_inode(inode);
	return inode;
}

/**
 * faasin_inode_evict() - an inode goes, and lets its node go
 * @inode: the inode
 */
void faasin_inode_evict(struct inode *inode)
{
	struct faasin_node *node = inode->i_private;

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (node)
		faasin_node_put(node);
}

/* ------------------------------------------------------------ directories */

/* Under faasin_tree_sem: what a directory has under a name, or NULL. */
static struct faasin_node *child_find(struct faasin_node *dir, const char *name)
{
	struct faasin_workflow *wf;
	struct faasin_stage *st;
	struct faasin_port *port;

	switch (faasin_dir_kind(dir)) {
	case FAASIN_KIND_ROOT:
		wf = faasin_workflow_find(name);
		return wf ? &wf->node : NULL;
	case FAASIN_KIND_WORKFLOW:
		st = faasin_stage_find(faasin_node_workflow(dir), name);
		return st ? &st->node : NULL;
	case FAASIN_KIND_STAGE:
		port = faasin_port_find(faasin_node_stage(dir), name);
		return port ? &port->node : NULL;
	default:
		return NULL;
	}
}

/* Under faasin_tree_sem: the entry that was made next after a generation. */
static struct faasin_node *child_next(struct faasin_node *dir, u64 after)
{
	struct faasin_workflow *wf;
	struct faasin_port *port;
	struct faasin_stage *st;

	switch (faasin_dir_kind(dir)) {
	case FAASIN_KIND_ROOT:
		wf = faasin_workflow_next(after);
		return wf ? &wf->node : NULL;
	case FAASIN_KIND_WORKFLOW:
		st = faasin_stage_next(faasin_node_workflow(dir), after);
		return st ? &st->node : NULL;
	case FAASIN_KIND_STAGE:
		port = faasin_port_next(faasin_node_stage(dir), after);
		return port ? &port->node : NULL;
	default:
		return NULL;
	}
}

/* The inode of what a directory has under a name, or NULL. */
static struct inode *child_inode(struct inode *inode, const char *name)
{
	struct faasin_node *dir = inode->i_private, *node;
	struct inode *child;
	int err;

	if (!strcmp(name, "self"))
		return self_inode(inode->i_sb, dir);
	err = down_read_killable(&faasin_tree_sem);
	if (err)
		return ERR_PTR(err);
	node = child_find(dir, name);
	if (node)
		faasin_node_get(node);
	up_read(&faasin_tree_sem);
	if (!node)
		return NULL;
	child = faasin_node_inode(inode->i_sb, node);
	faasin_node_put(node);
	return child;
}

static struct dentry *dir_lookup(struct inode *inode, struct dentry *dentry, unsigned int flags)
{
	struct faasin_node *node;
	struct inode *child;
	int err;

	if (dentry->d_name.len > FAASIN_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	/* Names that do not exist are not remembered: they may come to be. */
	child = child_inode(inode, dentry->d_name.name);
	if (IS_ERR_OR_NULL(child))
		return ERR_CAST(child);
	err = down_read_killable(&faasin_tree_sem);
	if (err)
		goto put;
	/* The directory's, if that is self of it; the root does not die. */
	node = child->i_private;
	if (node && node->dead) {
		up_read(&faasin_tree_sem);
		goto put;
	}
	if (child->i_op == &port_iops)
		faasin_port_attributes(child, faasin_node_port(node));
	dentry = d_splice_alias(child, dentry);
	up_read(&faasin_tree_sem);
	return dentry;

put:
	iput(child);
	return ERR_PTR(err);
}

struct list_entry {
	char name[FAASIN_NAME_MAX + 1];
	u64 generation;
	bool port;
};

/* Under faasin_tree_sem: the entries after a generation; how many. */
static unsigned int batch_fill(struct list_entry *batch, struct faasin_node *dir, u64 after)
{
	struct faasin_node *node;
	struct list_entry *e;
	unsigned int n;

	for (n = 0; n < LIST_BATCH; n++) {
		node = child_next(dir, after);
		if (!node)
			break;
		e = &batch[n];
		strscpy(e->name, node->name, sizeof(e->name));
		e->generation = node->generation;
		e->port = node->kind == FAASIN_KIND_PORT;
		after = node->generation;
	}
	return n;
}

/*
 * Positions: 0 and 1 are the dots, 2 is self, then 3 plus the generation of the
 * entry before. Names are copied first: storing them may wait for the reader's
 * memory, and nobody is to wait for that.
 */
static int dir_list(struct file *file, struct dir_context *ctx)
{
	struct faasin_node *dir = file_inode(file)->i_private;
	struct list_entry *batch, *e;
	unsigned int n;
	int err = 0;

	if (!dir_emit_dots(file, ctx))
		return 0;
	if (ctx->pos == 2) {
		if (!(dir && READ_ONCE(dir->dead)) &&
		    !dir_emit(ctx, "self", 4, faasin_self_ino(dir), DT_LNK))
			return 0;
		ctx->pos++;
	}

	batch = kmalloc_array(LIST_BATCH, sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	for (;;) {
		err = down_read_killable(&faasin_tree_sem);
		if (err)
			break;
		n = batch_fill(batch, dir, ctx->pos - 3);
		up_read(&faasin_tree_sem);
		if (!n)
			break;
		for (e = batch; e < batch + n; e++) {
			if (!dir_emit(ctx, e->name, strlen(e->name), 2 * e->generation,
				      e->port ? DT_FIFO : DT_DIR))
				goto out;
			ctx->pos = 3 + e->generation;
		}
	}
out:
	kfree(batch);
	return err;
}

/*
 * The VFS holds the directory's lock, shared. Nothing here needs that, and it must not
 * be held while names are stored, which may take for ever: whoever then tries to make a
 * file there would queue for the lock and all look-ups behind that, beyond the reach
 * of signals. The VFS's own wrap_directory_iterator() changes hands likewise: who calls
 * ->iterate_shared() expects the lock back, and to find what may have happened without it.
 */
static int dir_iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *inode = file_inode(file);
	int err;

	inode_unlock_shared(inode);
	err = dir_list(file, ctx);
	inode_lock_shared(inode);
	return err;
}

static const struct file_operations dir_fops = {
	.owner = THIS_MODULE,
	.read = generic_read_dir,
	.iterate_shared = dir_iterate,
	.llseek = generic_file_llseek,
};

static const struct inode_operations dir_iops = {
	.lookup = dir_lookup,
	.setattr = faasin_compat_setattr_refused,
};

static const struct inode_operations port_iops = {
	.setattr = faasin_compat_setattr_refused,
};

/* ------------------------------------------------------------------- self */

static void link_free(void *p)
{
	kfree(p);
}

/* Where self of a directory leads whoever looks: down to its own stage. */
static const char *self_get_link(struct dentry *dentry, struct inode *inode,
				 struct delayed_call *done)
{
	struct faasin_node *dir = inode->i_private;
	struct faasin_stage *st;
	char *path;
	int err;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	if (faasin_dir_kind(dir) == FAASIN_KIND_STAGE)
		return ".";

	path = kmalloc(SELF_SIZE, GFP_KERNEL_ACCOUNT);
	if (!path)
		return ERR_PTR(-ENOMEM);
	err = down_read_killable(&faasin_tree_sem);
	if (err)
		goto free;
	st = faasin_stage_of_current();
	if (!st)
		err = -ENOENT;
	else if (!dir)
		snprintf(path, SELF_SIZE, "%s/%s", st->workflow->node.name, st->node.name);
	else if (&st->workflow->node == dir)
		strscpy(path, st->node.name, SELF_SIZE);
	else
		err = -ENOENT;
	up_read(&faasin_tree_sem);
	if (err)
		goto free;
	set_delayed_call(done, link_free, path);
	return path;

free:
	kfree(path);
	return ERR_PTR(err);
}

static const struct inode_operations self_iops = {
	.get_link = self_get_link,
	.setattr = faasin_compat_setattr_refused,
};
