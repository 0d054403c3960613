/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the subcommands share. */
#ifndef FAASCTL_TOOL_H
#define FAASCTL_TOOL_H

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <faasctl.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define _cleanup_(fn)	__attribute__((cleanup(fn)))

/* Exit statuses. A command that runs others uses 125 for all its own. */
enum {
	STATUS_OK = 0,
	STATUS_USAGE = 1,	/* the command line is wrong */
	STATUS_REFUSED = 2,	/* the kernel or the system refused */
	STATUS_WRAPPER = 125,	/* exec, run: faasctl itself failed */
	STATUS_CANNOT = 126,	/* exec: the command cannot be executed */
	STATUS_NOT_FOUND = 127,	/* exec: there is no such command */
};

/**
 * struct option_row - an option of a subcommand
 * @id: its letter, or a number from 256 on for one without
 * @name: its long name; NULL ends a table
 * @arg: what its argument is, or NULL if it takes none
 * @help: one line
 */
struct option_row {
	int id;
	const char *name;
	const char *arg;
	const char *help;
};

/**
 * struct args - a command line being read
 * @command: whose it is
 * @argc: number of words, the subcommand's own name being the first
 * @argv: the words; NULL-terminated
 * @longs: @command's options for getopt_long()
 * @shorts: likewise
 * @value: argument of the option that args_next() returned
 */
struct args {
	const struct command *command;
	int argc;
	char **argv;
	struct option longs[24];
	char shorts[64];
	const char *value;
};

/**
 * struct command - a subcommand
 * @name: its name; with a blank in it, of a subcommand's subcommand
 * @run: does it and returns the exit status; NULL if it has @subs
 * @args: its arguments, for the usage line
 * @help: one line
 * @example: one or more lines; may be copied and run
 * @options: its options, or NULL; --help is added
 * @subs: its subcommands, NULL-terminated, or NULL
 * @wraps: runs other commands: words after the first argument are theirs
 */
struct command {
	const char *name;
	int (*run)(struct args *args);
	const char *args;
	const char *help;
	const char *example;
	const struct option_row *options;
	const struct command *const *subs;
	bool wraps;
};

extern const struct command link_command;
extern const struct command unlink_command;
extern const struct command set_command;
extern const struct command pause_command;
extern const struct command resume_command;
extern const struct command drain_command;
extern const struct command replace_command;
extern const struct command workflow_command;
extern const struct command stage_command;
extern const struct command exec_command;
extern const struct command run_command;
extern const struct command show_command;
extern const struct command dump_command;
extern const struct command graph_command;
extern const struct command metrics_command;
extern const struct command monitor_command;
extern const struct command latency_command;
extern const struct command trace_command;
extern const struct command scan_command;
extern const struct command status_command;
extern const struct command top_command;
extern const struct command usage_command;
extern const struct command version_command;
extern const struct command help_command;

/* main.c */
int main_help(FILE *to);
const struct command *main_find(const char *name, const char *sub);

/* args.c */
void args_init(struct args *args, const struct command *command, int argc,
	       char **argv);
int args_next(struct args *args);
bool args_json(struct args *args);
int args_rest(struct args *args, int min, int max);
void args_help(const struct command *command, FILE *to);
void usage_error(const struct command *command, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
uint32_t parse_u32(const struct args *args, uint32_t max, int base);
uint32_t parse_count(const struct args *args, uint32_t max, const char *what);
uint64_t parse_size(const struct args *args);
uint32_t parse_word(const struct args *args, const char *(*name)(uint32_t));
uint32_t parse_seconds(const struct args *args, double min, uint32_t max);

/* The options that every command that makes links has. */
#define LINK_OPTION_ROWS						\
	{ 'c', "capacity", "SIZE", "bytes a link holds: 4K to 1G, default 1M" },	\
	{ 'a', "abort-on", "RULE", "which exits of a writer abort: crash, nonzero or never" }, \
	{ 'e', "on-early-close", "RULE", "what a writer meets whose reader left: epipe, drain" }, \
	{ 'T', "trusted", NULL, "windows stay mapped: for stages that trust each other" }, \
	{ 'u', "uncharged", NULL, "make a missing workflow one whose memory nobody pays for" }

bool link_option(const struct args *args, int id,
		 struct faasctl_link_options *options);
void warn_uncharged(const char *workflow);

/* output.c */
void clean(char *s);
void complain(const char *format, va_list args)
	__attribute__((format(printf, 1, 0)));
int fail(const struct faasctl_error *err);
int fail_hint(const struct faasctl_error *err, int code, const char *format,
	      ...) __attribute__((format(printf, 3, 4)));
int fail_memory(void);
int error_memory(struct faasctl_error *err);
uint64_t module_load(void);
void warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * struct text - a short piece of output, returned by value
 * @s: the text
 */
struct text {
	char s[128];
};

struct text text_bytes(uint64_t bytes);
struct text text_capacity(uint64_t bytes);
struct text text_time(uint64_t ns);
struct text text_signal(int sig);
struct text text_clean(const char *s);
struct text text_cause(const struct faasctl_cause *cause);
bool cause_is_readers(uint32_t cause);
void print_escaped(const char *s, FILE *to);
struct text text_percent(double share);
void print_bottleneck(const char *workflow, const char *stage, double share);
void print_picture(const struct faasctl_link *link, FILE *to);
bool utf8(void);
bool colours(void);
const char *bold(void);
const char *red(void);
const char *plain(void);
int finish_output(void);

/* json.c */
struct json_t;
struct json_t *json_text(const char *s);
struct json_t *json_workflow(const struct faasctl_workflow *workflow);
struct json_t *json_stage(const struct faasctl_stage *stage);
struct json_t *json_link(const struct faasctl_link *link);
struct json_t *json_stats(const struct faasctl_stats *stats);
struct json_t *json_bottleneck(const char *workflow, const char *stage,
			       double share);
struct json_t *json_event(const struct faasctl_event *event);
int json_print(struct json_t *root);
int json_print_line(struct json_t *root);

/* snapshot.c */
enum {
	SNAPSHOT_WORKFLOWS = 1,
	SNAPSHOT_STAGES = 2,
	SNAPSHOT_LINKS = 4,
};

struct snapshot_workflow {
	char name[FAASIN_NAME_MAX + 1];
	uint64_t generation;
	uint32_t stages;
	uint32_t links;
	struct faasctl_stats stats;
	struct faasctl_stats gone;
};

/* @cgroup_path: NULL: none is bound, or it was removed */
struct snapshot_stage {
	char workflow[FAASIN_NAME_MAX + 1];
	char name[FAASIN_NAME_MAX + 1];
	uint64_t cgroup_id;
	char *cgroup_path;
	struct faasctl_stats sent;
	struct faasctl_stats received;
};

struct snapshot_link {
	char workflow[FAASIN_NAME_MAX + 1];
	char src_stage[FAASIN_NAME_MAX + 1];
	char src_port[FAASIN_NAME_MAX + 1];
	char dst_stage[FAASIN_NAME_MAX + 1];
	char dst_port[FAASIN_NAME_MAX + 1];
	uint64_t capacity;
	uint32_t state;
	uint32_t flags;
	struct faasctl_stats stats;
};

/* What there was at one time, in the order of creation. */
struct snapshot {
	size_t n_workflows;
	struct snapshot_workflow *workflows;
	size_t n_stages;
	struct snapshot_stage *stages;
	size_t n_links;
	struct snapshot_link *links;
};

int snapshot_read(struct snapshot *snap, struct faasctl *ctl,
		  const char *workflow, unsigned int parts,
		  struct faasctl_error *err);
ssize_t snapshot_workflow(const struct snapshot *snap, const char *name,
			  ssize_t guess);
void snapshot_free(struct snapshot *snap);

/* table.c */
void print_workflow(const struct faasctl_workflow *workflow);
void print_stage(const struct faasctl_stage *stage);
void print_link(const struct faasctl_link *link);

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void ctl_closep(struct faasctl **ctl)
{
	faasctl_close(*ctl);
}

static inline void freep(void *p)
{
	free(*(void **)p);
}

#endif /* FAASCTL_TOOL_H */
