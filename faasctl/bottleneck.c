// SPDX-License-Identifier: LGPL-2.1-or-later
/* The rule by which a stage is the bottleneck. */
#include "bottleneck.h"

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

/*
 * Whether the counters began anew in between. They go on where a link is made again,
 * and are lost with its stages.
 */
bool stats_restarted(const struct faasctl_stats *before,
		     const struct faasctl_stats *now)
{
	return now->linked_ns < before->linked_ns ||
	       now->bytes_in < before->bytes_in ||
	       now->streams_begun < before->streams_begun;
}

static double share(uint64_t now, uint64_t before, uint64_t time)
{
	return time && now > before ? least((double)(now - before) / time, 1) : 0;
}

/*
 * What the counters of a link tell of the time between two readings, which is that for
 * which the link was there: they are all read at one moment.
 */
struct link_waits link_waits(const struct faasctl_stats *before,
			     const struct faasctl_stats *now)
{
	uint64_t time = now->linked_ns - before->linked_ns;

	return (struct link_waits){
		.writers = share(now->writer_blocked_ns, before->writer_blocked_ns, time),
		.readers = share(now->reader_blocked_ns, before->reader_blocked_ns, time),
		.written = now->bytes_in > before->bytes_in ||
			   now->streams_begun > now->streams_ended +
			   now->streams_aborted + now->early_closes,
	};
}

/* A link tells of the stages at its ends. */
void stage_waits_add(struct stage_waits *src, struct stage_waits *dst,
		     const struct link_waits *link)
{
	src->outputs++;
	src->pulled = most(src->pulled, link->readers);
	src->waited += link->writers;
	src->writes |= link->written;
	dst->inputs++;
	dst->pushed = most(dst->pushed, link->writers);
	dst->waited += link->readers;
}

/*
 * The rule: a stage is the bottleneck for as much of the time as those before it wait
 * to write, those after it wait to read, and it waits for neither. Where nobody is
 * before it, or after it, that says nothing; but a first stage is none unless it
 * writes: else the whole workflow is at rest. Returns 0 if it is none.
 */
double bottleneck_share(const struct stage_waits *stage)
{
	double of_time = 1 - least(stage->waited, 1);

	if (stage->inputs)
		of_time = least(of_time, stage->pushed);
	else if (!stage->writes)
		of_time = 0;
	if (stage->outputs)
		of_time = least(of_time, stage->pulled);
	return of_time < BOTTLENECK_LEAST ? 0 : of_time;
}
