// SPDX-License-Identifier: GPL-2.0
/*
 * The pseudo-filesystem: superblock, mounts and their scopes, what appears and vanishes.
 *
 * There is one superblock, owned by the initial user namespace. A mount's scope is its
 * root: the directory of a workflow or of a stage, or the root of all.
 *
 * Locks: faasin_fs_mutex guards the pointer to the superblock; it nests in s_umount.
 * What holds of inodes and faasin_tree_sem is in inode.h.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fsnotify.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/sysfs.h>
#include <linux/user_namespace.h>

#include "fs.h"
#include "inode.h"
#include "workflow.h"

#define FAASIN_FS_MAGIC		0xfaa51ce0

static DEFINE_MUTEX(faasin_fs_mutex);
static struct super_block *faasin_sb;

/* ------------------------------------------------------ coming and going */

/*
 * The superblock, kept from going away until deactivate_super(), or NULL if nothing
 * is mounted. Not under faasin_tree_sem: the last to let it go takes s_umount, which
 * nests outside.
 */
static struct super_block *sb_hold(void)
{
	struct super_block *sb;

	mutex_lock(&faasin_fs_mutex);
	sb = faasin_sb;
	if (sb && !atomic_inc_not_zero(&sb->s_active))
		sb = NULL;
	mutex_unlock(&faasin_fs_mutex);
	return sb;
}

/* Watchers pay for what they are told, so telling them may wait for their memory. */
static void notify(struct super_block *sb, struct faasin_node *parent, const char *name, u32 mask)
{
	struct qstr q = QSTR_INIT(name, strlen(name));
	struct inode *dir = ilookup(sb, faasin_node_ino(parent));

	/* Whoever watches a directory keeps its inode. */
	if (!dir)
		return;
	fsnotify_name(mask, dir, FSNOTIFY_EVENT_INODE, dir, &q, 0);
	iput(dir);
}

/**
 * faasin_fs_appeared() - tell watchers of a directory about a new entry
 * @parent: the directory; NULL for the root
 * @name: the entry
 * @dir: it is a directory
 */
void faasin_fs_appeared(struct faasin_node *parent, const char *name, bool dir)
{
	struct super_block *sb = sb_hold();

	if (!sb)
		return;
	notify(sb, parent, name, FS_CREATE | (dir ? FS_ISDIR : 0));
	deactivate_super(sb);
}

static void entries_drop(struct super_block *sb, unsigned long ino)
{
	struct inode *inode = ilookup(sb, ino);
	struct dentry *dentry;

	if (!inode)
		return;
	while ((dentry = d_find_alias(inode))) {
		bool hashed = !d_unhashed(dentry);

		d_invalidate(dentry);
		dput(dentry);
		if (!hashed)
			break;
	}
	clear_nlink(inode);
	if (!S_ISLNK(inode->i_mode))
		fsnotify_inoderemove(inode);
	iput(inode);
}

/**
 * faasin_fs_vanished() - an object is dead: throw its directory entries out
 * @parent: the directory; NULL for the root
 * @node: what was in it
 *
 * No look-up finds @node any more.
 */
void faasin_fs_vanished(struct faasin_node *parent, struct faasin_node *node)
{
	bool dir = node->kind != FAASIN_KIND_PORT;
	struct super_block *sb = sb_hold();

	if (!sb)
		return;
	if (dir)
		entries_drop(sb, faasin_self_ino(node));
	entries_drop(sb, faasin_node_ino(node));
	notify(sb, parent, node->name, FS_DELETE | (dir ? FS_ISDIR : 0));
	deactivate_super(sb);
}

/**
 * faasin_fs_changed() - a port has another owner or mode
 * @port: the port, held
 */
void faasin_fs_changed(struct faasin_port *port)
{
	struct super_block *sb = sb_hold();
	struct inode *inode;

	if (!sb)
		return;
	inode = ilookup(sb, faasin_node_ino(&port->node));
	if (inode) {
		down_read(&faasin_tree_sem);
		faasin_port_attributes(inode, port);
		up_read(&faasin_tree_sem);
		fsnotify_inode(inode, FS_ATTRIB);
		iput(inode);
	}
	deactivate_super(sb);
}

/* ----------------------------------------------------------------- mounts */

struct scope {
	char *workflow;
	char *stage;
};

/*
 * Why, for whoever mounts. Where mount(2) is used such texts go to the kernel's
 * log, which is not for everybody to write to who may make a user namespace.
 */
static int scope_refuse(struct fs_context *fc, int err, const char *why)
{
	if (fc->log.log || fc->cred->user_ns == &init_user_ns)
		errorf(fc, "faasin: %s", why);
	return err;
}

/*
 * All by hand: what the VFS's own parser refuses, it writes to the kernel's log,
 * as it does with options that nobody knows.
 */
static int scope_parse(struct fs_context *fc, struct fs_parameter *param)
{
	struct scope *scope = fc->fs_private;
	char **value;

	if (!strcmp(param->key, "workflow"))
		value = &scope->workflow;
	else if (!strcmp(param->key, "stage"))
		value = &scope->stage;
	else if (!strcmp(param->key, "source") && !fc->source)
		value = (char **)&fc->source;
	else
		return scope_refuse(fc, -EINVAL, "the only options are workflow= and stage=");

	if (param->type != fs_value_is_string ||
	    (!*param->string && value != (char **)&fc->source))
		return scope_refuse(fc, -EINVAL, "an option is without its name");
	kfree(*value);
	*value = param->string;
	param->string = NULL;
	return 0;
}

/* Under faasin_tree_sem: the node that is to be the mount's root, NULL for all. */
static int scope_node(struct fs_context *fc, struct faasin_node **node)
{
	struct scope *scope = fc->fs_private;
	struct faasin_workflow *wf;
	struct faasin_stage *st;

	*node = NULL;
	if (fc->user_ns != &init_user_ns) {
		st = faasin_stage_of_current();
		if (!st)
			return scope_refuse(fc, -EPERM, "the mounter is in no stage's cgroup");
		if ((scope->workflow && strcmp(scope->workflow, st->workflow->node.name)) ||
		    (scope->stage && strcmp(scope->stage, st->node.name)))
			return scope_refuse(fc, -EPERM,
					    "a user namespace can mount its own stage only");
		*node = &st->node;
		return 0;
	}
	if (scope->stage && !scope->workflow)
		return scope_refuse(fc, -EINVAL, "stage= needs workflow=");
	if (!scope->workflow)
		return 0;
	wf = faasin_workflow_find(scope->workflow);
	if (!wf)
		return scope_refuse(fc, -ENOENT, "no such workflow");
	*node = &wf->node;
	if (!scope->stage)
		return 0;
	st = faasin_stage_find(wf, scope->stage);
	if (!st)
		return scope_refuse(fc, -ENOENT, "no such stage");
	*node = &st->node;
	return 0;
}

/* From the root down to a node, by name, as any look-up goes. */
static struct dentry *node_dentry(struct dentry *root, struct faasin_node *node)
{
	struct dentry *dentry = root, *child;
	const char *names[2];
	int i, n = 0;

	if (node->kind == FAASIN_KIND_STAGE)
		names[n++] = faasin_node_stage(node)->workflow->node.name;
	names[n++] = node->name;

	dget(dentry);
	for (i = 0; i < n; i++) {
		child = lookup_positive_unlocked(names[i], dentry, strlen(names[i]));
		dput(dentry);
		if (IS_ERR(child))
			return child;
		dentry = child;
	}
	if (d_inode(dentry)->i_private == node)
		return dentry;
	dput(dentry);
	return ERR_PTR(-ENOENT);
}

static int sb_fill(struct super_block *sb, struct fs_context *fc);

/*
 * The root of the mount. get_tree_single() returns the superblock with s_umount held,
 * and other mounts (and sync) wait for that, while looking up may wait for memory: it
 * comes first, unless nothing was mounted yet.
 */
static int scope_root(struct fs_context *fc, struct faasin_node *node)
{
	struct super_block *sb = sb_hold();
	struct dentry *root = NULL;
	int err = 0;

	/*
	 * One that is not born yet may never be, if the mount that makes it fails.
	 * get_tree_single() would wait for that for ever: this reference keeps it from dying.
	 */
	if (sb && !(READ_ONCE(sb->s_flags) & SB_BORN)) {
		deactivate_super(sb);
		sb = NULL;
	}
	if (sb)
		root = node_dentry(sb->s_root, node);
	if (IS_ERR(root)) {
		err = PTR_ERR(root);
		goto release;
	}
	err = get_tree_single(fc, sb_fill);
	if (err) {
		dput(root);
		goto release;
	}
	if (!root)
		root = node_dentry(fc->root, node);
	if (IS_ERR(root)) {
		struct super_block *locked = fc->root->d_sb;

		err = PTR_ERR(root);
		dput(fc->root);
		fc->root = NULL;
		deactivate_locked_super(locked);
		goto release;
	}
	dput(fc->root);
	fc->root = root;
release:
	/* If s_umount is held this is not the last reference. */
	if (sb)
		deactivate_super(sb);
	return err;
}

static int scope_get_tree(struct fs_context *fc)
{
	struct faasin_node *node;
	int err;

	err = down_read_killable(&faasin_tree_sem);
	if (err)
		return err;
	err = scope_node(fc, &node);
	if (!err && node)
		faasin_node_get(node);
	up_read(&faasin_tree_sem);
	if (err)
		return err;
	if (!node)
		return get_tree_single(fc, sb_fill);
	err = scope_root(fc, node);
	faasin_node_put(node);
	return err;
}

static int scope_reconfigure(struct fs_context *fc)
{
	struct scope *scope = fc->fs_private;

	if (scope->workflow || scope->stage)
		return scope_refuse(fc, -EINVAL,
				    "a mount's scope cannot change; mount it anew");
	return 0;
}

static void scope_free(struct fs_context *fc)
{
	struct scope *scope = fc->fs_private;

	if (!scope)
		return;
	kfree(scope->workflow);
	kfree(scope->stage);
	kfree(scope);
}

static const struct fs_context_operations scope_ops = {
	.free = scope_free,
	.parse_param = scope_parse,
	.get_tree = scope_get_tree,
	.reconfigure = scope_reconfigure,
};

static int scope_init(struct fs_context *fc)
{
	struct scope *scope = kzalloc(sizeof(*scope), GFP_KERNEL_ACCOUNT);

	if (!scope)
		return -ENOMEM;
	fc->fs_private = scope;
	fc->ops = &scope_ops;
	/* The one superblock is the initial user namespace's, whoever mounts it;
	 * fc->user_ns stays that of the mounter.
	 */
	fc->global = true;
	return 0;
}

static int sb_show_options(struct seq_file *m, struct dentry *root)
{
	struct faasin_node *node = d_inode(root)->i_private;
	struct faasin_stage *st = NULL;

	switch (faasin_dir_kind(node)) {
	case FAASIN_KIND_PORT:		/* bound alone to another place */
		st = faasin_node_port(node)->stage;
		break;
	case FAASIN_KIND_STAGE:
		st = faasin_node_stage(node);
		break;
	case FAASIN_KIND_WORKFLOW:
		seq_printf(m, ",workflow=%s", node->name);
		break;
	default:
		break;
	}
	if (st)
		seq_printf(m, ",workflow=%s,stage=%s", st->workflow->node.name, st->node.name);
	return 0;
}

static int sb_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	int err = simple_statfs(dentry, buf);

	buf->f_namelen = FAASIN_NAME_MAX;
	return err;
}

static const struct super_operations sb_ops = {
	.statfs = sb_statfs,
	.drop_inode = generic_delete_inode,
	.evict_inode = faasin_inode_evict,
	.show_options = sb_show_options,
};

static int sb_fill(struct super_block *sb, struct fs_context *fc)
{
	struct inode *inode;

	sb->s_magic = FAASIN_FS_MAGIC;
	sb->s_op = &sb_ops;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_iflags |= SB_I_NODEV | SB_I_NOEXEC;
	/* An overlay would turn ports into FIFOs of its own. */
	sb->s_stack_depth = FILESYSTEM_MAX_STACK_DEPTH;

	inode = faasin_node_inode(sb, NULL);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	sb->s_root = d_make_root(inode);
	if (!sb->s_root)
		return -ENOMEM;

	mutex_lock(&faasin_fs_mutex);
	faasin_sb = sb;
	mutex_unlock(&faasin_fs_mutex);
	return 0;
}

static void sb_kill(struct super_block *sb)
{
	mutex_lock(&faasin_fs_mutex);
	if (faasin_sb == sb)
		faasin_sb = NULL;
	mutex_unlock(&faasin_fs_mutex);
	kill_anon_super(sb);
}

static struct file_system_type faasin_fs_type = {
	.owner = THIS_MODULE,
	.name = FAASIN_FS_NAME,
	.init_fs_context = scope_init,
	.kill_sb = sb_kill,
	.fs_flags = FS_USERNS_MOUNT,
};
MODULE_ALIAS_FS(FAASIN_FS_NAME);

/**
 * faasin_fs_init() - create the mount point and register the type
 *
 * Return: 0 or a negative errno.
 */
int faasin_fs_init(void)
{
	int err;

	err = sysfs_create_mount_point(fs_kobj, FAASIN_FS_NAME);
	if (err)
		return err;
	err = register_filesystem(&faasin_fs_type);
	if (err)
		sysfs_remove_mount_point(fs_kobj, FAASIN_FS_NAME);
	return err;
}

/**
 * faasin_fs_exit() - undo faasin_fs_init(); nothing is mounted
 */
void faasin_fs_exit(void)
{
	unregister_filesystem(&faasin_fs_type);
	sysfs_remove_mount_point(fs_kobj, FAASIN_FS_NAME);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
}
