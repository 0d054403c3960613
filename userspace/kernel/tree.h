/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Search trees: as the kernel's, but never balanced.
 */
#ifndef _USERSPACE_TREE_H
#define _USERSPACE_TREE_H

#include "types.h"

struct rb_node {
	struct rb_node *parent, *rb_left, *rb_right;
};

struct rb_root {
	struct rb_node *rb_node;
};

#define RB_ROOT			((struct rb_root){ NULL })
#define RB_EMPTY_ROOT(root)	(!(root)->rb_node)
#define rb_entry(p, type, member)	container_of(p, type, member)

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **at)
{
	node->parent = parent;
	node->rb_left = NULL;
	node->rb_right = NULL;
	*at = node;
}

static inline void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
}

/* What @node's parent has in its place from now on. */
static inline void rb_replace(struct rb_root *root, struct rb_node *node, struct rb_node *by)
{
	struct rb_node *parent = node->parent;

	if (!parent)
		root->rb_node = by;
	else if (parent->rb_left == node)
		parent->rb_left = by;
	else
		parent->rb_right = by;
	if (by)
		by->parent = parent;
}

static inline void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *next = node->rb_right;

	if (!node->rb_left || !next) {
		rb_replace(root, node, node->rb_left ?: next);
		return;
	}
	while (next->rb_left)
		next = next->rb_left;
	if (next != node->rb_right) {
		rb_replace(root, next, next->rb_right);
		next->rb_right = node->rb_right;
		next->rb_right->parent = next;
	}
	rb_replace(root, node, next);
	next->rb_left = node->rb_left;
	next->rb_left->parent = next;
}

#endif /* _USERSPACE_TREE_H */
