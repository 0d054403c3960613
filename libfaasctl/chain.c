// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Chains: links in a row, with everything that they need, all or nothing.
 *
 * What is created is noted, with its generation, in the order of creation;
 * undoing goes the other way and so never deletes what others made since.
 */
#include <stdio.h>

#include "internal.h"

enum kind {
	MADE_CGROUP,
	MADE_WORKFLOW,
	MADE_STAGE,
	MADE_LINK,
};

/**
 * struct made - something that was created
 * @next: what was created before it
 * @kind: what it is
 * @levels: of a cgroup: which directories
 * @generation: of the others: its generation; 0: it is not known to have been made
 * @name: the stage; "" for the workflow
 * @src: of a link: the end that it starts at
 * @dst: of a link: the end that it leads to
 */
struct made {
	struct made *next;
	enum kind kind;
	unsigned int levels;
	uint64_t generation;
	char name[FAASIN_NAME_MAX + 1];
	struct faasctl__end src;
	struct faasctl__end dst;
};

/**
 * struct faasctl_chain - what was created
 * @ctl: the handle it was created with; borrowed
 * @workflow: the name of the workflow
 * @made: the newest thing created
 * @shared: others have stages in the workflow: it stays, and its cgroup with it
 */
struct faasctl_chain {
	struct faasctl *ctl;
	char workflow[FAASIN_NAME_MAX + 1];
	struct made *made;
	bool shared;
};

static struct made *note(struct faasctl_chain *chain, enum kind kind,
			 const char *name)
{
	struct made *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->kind = kind;
	snprintf(made->name, sizeof(made->name), "%s", name ? name : "");
	made->next = chain->made;
	chain->made = made;
	return made;
}

/* Takes back the newest note: what it was for did not come to be. */
static void unnote(struct faasctl_chain *chain)
{
	struct made *made = chain->made;

	chain->made = made->next;
	free(made);
}

static int workflow_generation(const struct faasctl_workflow *workflow,
			       void *arg)
{
	*(uint64_t *)arg = workflow->generation;
	return 0;
}

static int stage_generation(const struct faasctl_stage *stage, void *arg)
{
	*(uint64_t *)arg = stage->generation;
	return 0;
}

static bool is_end(const char *stage, const char *port, const struct faasctl__end *end,
		   const char *by_default)
{
	return !strcmp(stage, end->stage) &&
	       !strcmp(port, end->port[0] ? end->port : by_default);
}

/* Does a link join two ends whose ports may be the default ones? */
static bool joins(const struct faasctl_link *link, const struct faasctl__end *src,
		  const struct faasctl__end *dst)
{
	return is_end(link->src_stage, link->src_port, src, FAASIN_PORT_OUT) &&
	       is_end(link->dst_stage, link->dst_port, dst, FAASIN_PORT_IN);
}

/* A default cgroup; for a stage of an uncharged workflow only if there can be. */
static int make_cgroup(struct faasctl_chain *chain, const char *stage,
		       struct faasctl_error *err)
{
	struct made *made = note(chain, MADE_CGROUP, stage);
	int fd;

	if (!made)
		return faasctl__fail(err, ENOMEM, "out of memory");
	fd = faasctl__cgroup_default(chain->workflow, stage, &made->levels,
				     err);
	if (fd < 0 || !made->levels)
		unnote(chain);
	return fd;
}

static int make_workflow(struct faasctl_chain *chain, unsigned int flags,
			 struct faasctl_error *err)
{
	_cleanup_(faasctl__closep) int cgroup = -1;
	struct made *made;
	int ret;

	ret = faasctl_workflow_each(chain->ctl, chain->workflow, NULL, NULL,
				    err);
	if (ret != -ENOENT)
		return ret;
	flags &= FAASCTL_UNCHARGED;
	if (!flags) {
		cgroup = make_cgroup(chain, NULL, err);
		if (cgroup < 0)
			return cgroup;
	}
	made = note(chain, MADE_WORKFLOW, NULL);
	if (!made)
		return faasctl__fail(err, ENOMEM, "out of memory");
	ret = faasctl_workflow_add(chain->ctl, chain->workflow, cgroup,
				   flags | FAASCTL_EXCLUSIVE, err);
	if (ret) {
		unnote(chain);
		/* Made by another in between: as good. */
		return ret == -EEXIST ? 0 : ret;
	}
	return faasctl_workflow_each(chain->ctl, chain->workflow,
				     workflow_generation, &made->generation,
				     err);
}

static int make_stage(struct faasctl_chain *chain, const char *name,
		      unsigned int flags, struct faasctl_error *err)
{
	_cleanup_(faasctl__closep) int cgroup = -1;
	struct faasctl_stage_options options = FAASCTL_STAGE_OPTIONS_INIT;
	struct made *made;
	int homeless, ret;

	homeless = faasctl_stage_homeless(chain->ctl, chain->workflow, name, err);
	if (homeless <= 0 && homeless != -ENOENT)
		return homeless;
	cgroup = make_cgroup(chain, name, err);
	/* A container runtime removes the cgroup together with the container. */
	if (homeless == 1) {
		options.cgroup_fd = cgroup;
		return cgroup < 0 ? cgroup :
		       faasctl_stage_add(chain->ctl, chain->workflow, name,
					 &options, err);
	}
	/* Who runs without charging may have no cgroup v2 at all. */
	if (cgroup < 0 && !(cgroup == -ENOENT && flags & FAASCTL_UNCHARGED))
		return cgroup;
	made = note(chain, MADE_STAGE, name);
	if (!made)
		return faasctl__fail(err, ENOMEM, "out of memory");
	options.cgroup_fd = cgroup < 0 ? -1 : cgroup;
	options.flags = FAASCTL_EXCLUSIVE;
	ret = faasctl_stage_add(chain->ctl, chain->workflow, name, &options,
				err);
	if (ret) {
		unnote(chain);
		return ret == -EEXIST ? 0 : ret;
	}
	return faasctl_stage_each(chain->ctl, chain->workflow, name,
				  stage_generation, &made->generation, err);
}

/**
 * struct before - the links that outputs had
 * @chain: gets what there is besides
 * @noted: how many of its newest notes are for that
 * @generations: of those
 * @n: how many
 */
struct before {
	struct faasctl_chain *chain;
	size_t noted;
	uint64_t generations[FAASIN_FAN_MAX * FAASIN_FAN_MAX];
	size_t n;
};

static int note_before(const struct faasctl_link *link, void *arg)
{
	struct before *before = arg;

	if (before->n < ARRAY_SIZE(before->generations))
		before->generations[before->n++] = link->generation;
	return 0;
}

/* A link of an output: if it was made just now, and is noted, it has a generation. */
static int note_generation(const struct faasctl_link *link, void *arg)
{
	const struct before *before = arg;
	struct made *made;
	size_t i;

	for (i = 0; i < before->n; i++)
		if (before->generations[i] == link->generation)
			return 0;
	for (i = 0, made = before->chain->made; i < before->noted; i++, made = made->next)
		if (joins(link, &made->src, &made->dst))
			made->generation = link->generation;
	return 0;
}

static void end_print(char *to, size_t size, const struct faasctl__end *end)
{
	snprintf(to, size, "%s%s%s", end->stage, end->port[0] ? ":" : "", end->port);
}

/* All links that the outputs of a list have. */
static int each_of(struct faasctl_chain *chain, const char *list, faasctl_link_fn fn, void *arg,
		   struct faasctl_error *err)
{
	char name[2 * (FAASIN_NAME_MAX + 1)];
	struct faasctl__end src;
	int ret;

	while (!(ret = faasctl__end_next(&list, &src, err))) {
		end_print(name, sizeof(name), &src);
		ret = faasctl_link_each(chain->ctl, chain->workflow, name, fn, arg, err);
		if (ret && ret != -ENOENT)
			return ret;
	}
	return ret == -ENOENT ? 0 : ret;
}

/* A link from @src to each of a list is going to be made. */
static int note_links(struct before *before, const struct faasctl__end *src, const char *list,
		      struct faasctl_error *err)
{
	struct faasctl__end dst;
	struct made *made;
	int ret;

	while (!(ret = faasctl__end_next(&list, &dst, err))) {
		made = note(before->chain, MADE_LINK, NULL);
		if (!made)
			return faasctl__fail(err, ENOMEM, "out of memory");
		made->src = *src;
		made->dst = dst;
		before->noted++;
	}
	return ret == -ENOENT ? 0 : ret;
}

/* Links from all of one list to all of the other, noted first: memory may be out later. */
static int make_links(struct faasctl_chain *chain, const char *srcs, const char *dsts,
		      const struct faasctl_link_options *options,
		      struct faasctl_error *err)
{
	struct before before = { .chain = chain };
	const char *left = srcs;
	struct faasctl__end src;
	int ret;

	ret = each_of(chain, srcs, note_before, &before, err);
	if (ret)
		return ret;
	while (!(ret = faasctl__end_next(&left, &src, err))) {
		ret = note_links(&before, &src, dsts, err);
		if (ret)
			return ret;
	}
	if (ret == -ENOENT)
		ret = faasctl_link_add(chain->ctl, chain->workflow, srcs, dsts, options, err);
	return ret ? ret : each_of(chain, srcs, note_generation, &before, err);
}

static int make_all(struct faasctl_chain *chain, const char *const *ends,
		    size_t n, const struct faasctl_link_options *options,
		    struct faasctl_error *err)
{
	struct faasctl__end end;
	const char *list;
	size_t i;
	int ret;

	ret = make_workflow(chain, options->flags, err);
	for (i = 0; !ret && i < n; i++) {
		list = ends[i];
		while (!(ret = faasctl__end_next(&list, &end, err))) {
			ret = make_stage(chain, end.stage, options->flags, err);
			if (ret)
				return ret;
		}
		ret = ret == -ENOENT ? 0 : ret;
	}
	for (i = 0; !ret && i + 1 < n; i++) {
		/* In between, the port named is the input. */
		ret = i ? faasctl__end_parse(ends[i], &end, err) : 0;
		if (!ret)
			ret = make_links(chain, i ? end.stage : ends[i], ends[i + 1],
					 options, err);
	}
	return ret;
}

/* Is a stage among those of a list? */
static int occurs(const char *list, const char *stage, struct faasctl_error *err)
{
	struct faasctl__end end;
	int ret;

	while (!(ret = faasctl__end_next(&list, &end, err)))
		if (!strcmp(end.stage, stage))
			return 1;
	return ret == -ENOENT ? 0 : ret;
}

/* The stages of one place in the row, of which there are @i before. */
static int check_place(const char *const *ends, size_t i, struct faasctl_error *err)
{
	const char *list = ends[i];
	struct faasctl__end end;
	size_t j;
	int ret;

	while (!(ret = faasctl__end_next(&list, &end, err))) {
		for (j = 0; j < i; j++) {
			ret = occurs(ends[j], end.stage, err);
			if (ret <= 0)
				continue;
			return faasctl__fail(err, ELOOP, j + 1 == i ?
				"stage \"%s\" cannot be linked to itself" :
				"stage \"%s\" occurs twice: the links would close a loop",
				end.stage);
		}
	}
	return ret == -ENOENT ? 0 : ret;
}

/* Refuses what can be seen to be wrong before anything is made. */
static int check(const char *workflow, const char *const *ends, size_t n,
		 const struct faasctl_link_options *options,
		 struct faasctl_error *err)
{
	size_t i;
	int ret;

	if (options->size != sizeof(*options))
		return faasctl__fail(err, EINVAL,
			"link options of another version of libfaasctl");
	ret = faasctl_name_check("workflow", workflow, err);
	for (i = 0; !ret && i < n; i++) {
		if (i && i + 1 < n && strchr(ends[i], ','))
			ret = faasctl__fail(err, EINVAL,
					    "\"%s\": only the first and the last of a row can be several stages",
					    ends[i]);
		else
			ret = check_place(ends, i, err);
	}
	if (!ret && options->merge != FAASCTL_UNSET && options->merge && n > 2)
		ret = faasctl__fail(err, EINVAL,
				    "records are merged at one input: name what writes and what reads, and link other stages by another call");
	if (ret || options->capacity == FAASCTL_UNSET64)
		return ret;
	if (options->capacity < FAASIN_CAPACITY_MIN ||
	    options->capacity > FAASIN_CAPACITY_MAX)
		return faasctl__fail(err, ERANGE,
			"capacity %llu is outside %d to %d bytes (4K to 1G)",
			(unsigned long long)options->capacity,
			FAASIN_CAPACITY_MIN, FAASIN_CAPACITY_MAX);
	if (options->capacity % 4096)
		return faasctl__fail(err, EINVAL,
			"capacity %llu is not a multiple of 4096",
			(unsigned long long)options->capacity);
	return 0;
}

FAASCTL_API int faasctl_chain_add(struct faasctl *ctl, const char *workflow,
				  const char *const *ends, size_t n_ends,
				  const struct faasctl_link_options *options,
				  struct faasctl_chain **out,
				  struct faasctl_error *err)
{
	static const struct faasctl_link_options defaults =
		FAASCTL_LINK_OPTIONS_INIT;
	struct faasctl_chain *chain;
	int ret;

	if (out)
		*out = NULL;
	if (!options)
		options = &defaults;
	ret = check(workflow, ends, n_ends, options, err);
	if (ret)
		return ret;
	chain = calloc(1, sizeof(*chain));
	if (!chain)
		return faasctl__fail(err, ENOMEM, "out of memory");
	chain->ctl = ctl;
	strcpy(chain->workflow, workflow);
	ret = make_all(chain, ends, n_ends, options, err);
	if (ret)
		faasctl_chain_undo(chain, NULL);
	if (ret || !out)
		faasctl_chain_free(chain);
	else
		*out = chain;
	return ret;
}

static int count_stages(const struct faasctl_workflow *workflow, void *arg)
{
	*(uint32_t *)arg = workflow->stages;
	return 0;
}

static int undo_one(struct faasctl_chain *chain, const struct made *made,
		    struct faasctl_error *err)
{
	char src[2 * (FAASIN_NAME_MAX + 1)], dst[2 * (FAASIN_NAME_MAX + 1)];
	uint32_t stages = 0;
	int ret = 0;

	switch (made->kind) {
	case MADE_CGROUP:
		if (chain->shared && !made->name[0])
			return 0;
		return faasctl__cgroup_remove(chain->workflow,
					      made->name[0] ? made->name : NULL,
					      made->levels, err);
	case MADE_WORKFLOW:
		ret = faasctl_workflow_each(chain->ctl, chain->workflow,
					    count_stages, &stages, err);
		chain->shared = !ret && stages;
		if (!ret && !stages)
			ret = faasctl_workflow_del(chain->ctl, chain->workflow,
						   made->generation, err);
		break;
	case MADE_STAGE:
		ret = faasctl_stage_del(chain->ctl, chain->workflow, made->name,
					made->generation, err);
		break;
	case MADE_LINK:
		end_print(src, sizeof(src), &made->src);
		end_print(dst, sizeof(dst), &made->dst);
		if (made->generation)
			ret = faasctl_link_del(chain->ctl, chain->workflow, src, dst,
					       made->generation, err);
		break;
	}
	/* Gone already, or the name is somebody else's by now. */
	return ret == -ENOENT || ret == -ESTALE ? 0 : ret;
}

FAASCTL_API int faasctl_chain_undo(struct faasctl_chain *chain,
				   struct faasctl_error *err)
{
	int ret = 0, r;

	while (chain->made) {
		r = undo_one(chain, chain->made, ret ? NULL : err);
		if (!ret)
			ret = r;
		unnote(chain);
	}
	return ret;
}

FAASCTL_API void faasctl_chain_free(struct faasctl_chain *chain)
{
	if (!chain)
		return;
	while (chain->made)
		unnote(chain);
	free(chain);
}
