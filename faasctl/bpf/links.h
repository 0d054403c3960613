/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which links a BPF program looks at: a table that it searches at every event. What
 * the kernel's own hash map took was more than all that is done with the event.
 */
#ifndef FAASCTL_BPF_LINKS_H
#define FAASCTL_BPF_LINKS_H

/* A link is at most so many places behind where its number says. */
#define LINK_PLACES	8

/**
 * struct link_entry - a place of the table
 * @link: its number, or 0: this place is free, and has always been
 * @slot: its index in the other maps
 * @grain: where parts share a time, this many bytes do
 */
struct link_entry {
	__u32 slot;
	__u32 grain;
	__u64 link;	/* the last to be written */
};

#ifdef __bpf__
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct link_entry);
	__uint(max_entries, 1);		/* a power of two, set before loading */
} links SEC(".maps");

/* Places of the table, less one. */
const volatile __u32 links_mask;

static __always_inline struct link_entry *link_find(__u64 link)
{
	struct link_entry *entry;
	__u32 i, at;

#pragma unroll
	for (i = 0; i < LINK_PLACES; i++) {
		at = (link + i) & links_mask;
		entry = bpf_map_lookup_elem(&links, &at);
		if (!entry || !entry->link)
			return NULL;
		if (entry->link == link)
			return entry;
	}
	return NULL;
}
#endif

#endif /* FAASCTL_BPF_LINKS_H */
