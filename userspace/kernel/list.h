/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lists. As in the kernel, whether one is empty may be asked without the lock that guards it.
 */
#ifndef _USERSPACE_LIST_H
#define _USERSPACE_LIST_H

#include "atomic.h"

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	WRITE_ONCE(head->next, head);
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return READ_ONCE(head->next) == head;
}

static inline void list_insert(struct list_head *entry, struct list_head *prev,
			       struct list_head *next)
{
	next->prev = entry;
	entry->next = next;
	entry->prev = prev;
	WRITE_ONCE(prev->next, entry);
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	list_insert(entry, head, head->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	list_insert(entry, head->prev, head);
}

static inline void list_unlink(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	WRITE_ONCE(entry->prev->next, entry->next);
}

static inline void list_del(struct list_head *entry)
{
	list_unlink(entry);
	/* So that whoever goes on from it is seen. */
	entry->next = NULL;
	entry->prev = NULL;
}

static inline void list_del_init(struct list_head *entry)
{
	list_unlink(entry);
	INIT_LIST_HEAD(entry);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	list_unlink(entry);
	list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_unlink(entry);
	list_add_tail(entry, head);
}

static inline void list_splice(const struct list_head *from, struct list_head *to)
{
	struct list_head *first = from->next, *last = from->prev;

	if (list_empty(from))
		return;
	first->prev = to;
	last->next = to->next;
	to->next->prev = last;
	WRITE_ONCE(to->next, first);
}

static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
	list_splice(from, to);
	INIT_LIST_HEAD(from);
}

#define list_entry(p, type, member)		container_of(p, type, member)
#define list_first_entry(head, type, member)	list_entry((head)->next, type, member)
/* Of the head, too, which is in no entry: UBSan would ask that one's alignment of it. */
#define list_of_entry(p, member)						\
	((struct list_head *)((char *)(p) + offsetof(__typeof__(*(p)), member)))
#define list_next_entry(p, member)						\
	list_entry(list_of_entry(p, member)->next, __typeof__(*(p)), member)
#define list_first_entry_or_null(head, type, member)				\
	(list_empty(head) ? NULL : list_first_entry(head, type, member))
#define list_entry_is_head(p, head, member)	(list_of_entry(p, member) == (head))
#define list_for_each_entry(p, head, member)					\
	for ((p) = list_first_entry(head, __typeof__(*(p)), member);		\
	     !list_entry_is_head(p, head, member); (p) = list_next_entry(p, member))
#define list_for_each_entry_safe(p, n, head, member)				\
	for ((p) = list_first_entry(head, __typeof__(*(p)), member),		\
	     (n) = list_next_entry(p, member); !list_entry_is_head(p, head, member); \
	     (p) = (n), (n) = list_next_entry(n, member))

struct hlist_node {
	struct hlist_node *next, **pprev;
};

/* ------------------------------------- many push, one at a time pops */

struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

#define llist_entry(p, type, member)	container_of(p, type, member)

static inline void init_llist_head(struct llist_head *head)
{
	WRITE_ONCE(head->first, NULL);
}

static inline bool llist_empty(const struct llist_head *head)
{
	return !READ_ONCE(head->first);
}

static inline bool llist_add(struct llist_node *entry, struct llist_head *head)
{
	struct llist_node *first = READ_ONCE(head->first);

	do
		WRITE_ONCE(entry->next, first);
	while (shim_weak("llist_add") ?
	       !__atomic_compare_exchange_n(&head->first, &first, entry, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED) :
	       !__atomic_compare_exchange_n(&head->first, &first, entry, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return !first;
}

static inline struct llist_node *llist_del_first(struct llist_head *head)
{
	struct llist_node *entry = __atomic_load_n(&head->first, __ATOMIC_ACQUIRE);

	while (entry && !__atomic_compare_exchange_n(&head->first, &entry, READ_ONCE(entry->next),
						     false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
		;
	return entry;
}

static inline struct llist_node *llist_del_all(struct llist_head *head)
{
	return __atomic_exchange_n(&head->first, NULL, __ATOMIC_SEQ_CST);
}

static inline struct llist_node *llist_reverse_order(struct llist_node *node)
{
	struct llist_node *reversed = NULL, *next;

	for (; node; node = next) {
		next = node->next;
		node->next = reversed;
		reversed = node;
	}
	return reversed;
}

#define llist_entry_or_null(node, type, member)					\
	((node) ? llist_entry(node, type, member) : NULL)
#define llist_for_each_entry_safe(p, n, node, member)				\
	for ((p) = llist_entry_or_null(node, __typeof__(*(p)), member);		\
	     (p) && ((n) = llist_entry_or_null((p)->member.next, __typeof__(*(p)), member), true); \
	     (p) = (n))

#endif /* _USERSPACE_LIST_H */
