/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cgroups: who pays, who may open.
 */
#ifndef _FAASIN_CGROUP_H
#define _FAASIN_CGROUP_H

#include <linux/gfp.h>
#include <linux/types.h>

struct cgroup;
struct cgroup_subsys_state;
struct mem_cgroup;
struct netlink_ext_ack;
struct page;

struct cgroup *faasin_cgroup_from_fd(int fd, struct netlink_ext_ack *extack);
bool faasin_cgroup_gone(const struct cgroup *cgrp);
void faasin_cgroup_put(struct cgroup *cgrp);
struct cgroup_subsys_state *faasin_cgroup_memory(struct cgroup *cgrp,
						 struct netlink_ext_ack *extack);
void faasin_cgroup_memory_put(struct cgroup_subsys_state *css);
struct cgroup *faasin_cgroup_of_current(void);
bool faasin_cgroup_holds_current(struct cgroup *cgrp);

bool faasin_memory_gone(struct cgroup_subsys_state *css);
bool faasin_memory_has_room(struct cgroup_subsys_state *css, size_t size);
struct page *faasin_memory_pages(struct cgroup_subsys_state *css, unsigned int order, gfp_t gfp);
void *faasin_memory_zalloc(struct cgroup_subsys_state *css, size_t size);

#endif /* _FAASIN_CGROUP_H */
