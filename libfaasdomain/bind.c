// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Binds at once all functions that would be bound when they are first called. From then on nobody
 * needs what the loader has for that, and it can be made to trap.
 *
 * The loader has no call for it: dlopen() leaves what is loaded as it is, whatever RTLD_NOW says.
 * To look for each function with dlsym() would find others at times: which libraries are searched,
 * in which order and for which version is the loader's to know. So its own function for one entry
 * is called, which is found where its way of binding late calls it. If that does not look exactly
 * as expected, nothing is called, and there are no domains.
 */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/wait.h>

#include "state.h"

/* What binds one entry of an object, and returns where its function is. */
typedef uintptr_t (*fixup_fn)(struct link_map *map, uint32_t entry);

/* That far behind its beginning is the call of that at most: what comes first saves registers. */
#define WAY_MAX		400

/**
 * struct table - entries of an object that may be bound late
 * @object: the object
 * @map: the same, as the loader knows it
 * @dynamic: where all this is from
 * @got: the first is the object's, the third the way to bind late, if there is one
 * @entries: the entries
 * @size: of these, in bytes
 */
struct table {
	const struct dl_phdr_info *object;
	struct link_map *map;
	const Elf64_Dyn *dynamic;
	const uintptr_t *got;
	const Elf64_Rela *entries;
	size_t size;
};

/**
 * struct binding - what is found on the way
 * @err: why it failed
 * @late: how many entries were not bound yet
 * @bind: bind them
 */
struct binding {
	struct faasctl_error *err;
	size_t late;
	bool bind;
};

static bool is_own(const struct dl_phdr_info *object, uintptr_t at)
{
	const Elf64_Phdr *part;

	for (part = object->dlpi_phdr; part < object->dlpi_phdr + object->dlpi_phnum; part++)
		if (part->p_type == PT_LOAD &&
		    at - (object->dlpi_addr + part->p_vaddr) < part->p_memsz)
			return true;
	return false;
}

/* The loader may have made addresses of these already, or not. */
static uintptr_t address(const struct dl_phdr_info *object, uintptr_t value)
{
	return value < object->dlpi_addr ? value + object->dlpi_addr : value;
}

static void read_dynamic(struct table *table)
{
	const struct dl_phdr_info *object = table->object;
	const Elf64_Dyn *dyn;
	int i;

	for (i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			table->dynamic = (void *)(object->dlpi_addr +
						  object->dlpi_phdr[i].p_vaddr);
	for (dyn = table->dynamic; dyn && dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_PLTGOT)
			table->got = (void *)address(object, dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_JMPREL)
			table->entries = (void *)address(object, dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_PLTRELSZ)
			table->size = dyn->d_un.d_val;
	}
}

/* Only of what it binds late the loader has written there whose it is. */
static bool is_bound_late(struct table *table)
{
	struct link_map *map = _r_debug.r_map;

	if (!table->got || !table->entries || !is_own(table->object, (uintptr_t)table->got) ||
	    !is_own(table->object, (uintptr_t)(table->got + 3) - 1))
		return false;
	while (map && map->l_ld != table->dynamic)
		map = map->l_next;
	table->map = map;
	return map && table->got[1] == (uintptr_t)map;
}

/* NULL: this is not the way that is known. */
static fixup_fn find_fixup(uintptr_t way)
{
	/* mov 16(%rbx), %rsi; mov 8(%rbx), %rdi; call...; mov %rax, %r11 */
	static const uint8_t before[] = { 0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b, 0x7b, 0x08, 0xe8 };
	static const uint8_t after[] = { 0x49, 0x89, 0xc3 };
	const uint8_t *at = (const uint8_t *)way, *call = NULL;
	int32_t distance;
	uintptr_t fixup;

	if (is_loader(way) && is_loader(way + WAY_MAX))
		call = memmem(at, WAY_MAX, before, sizeof(before));
	if (!call)
		return NULL;
	call += sizeof(before);
	memcpy(&distance, call, sizeof(distance));
	call += sizeof(distance);
	fixup = (uintptr_t)call + distance;
	return !memcmp(call, after, sizeof(after)) && is_loader(fixup) ? (fixup_fn)fixup : NULL;
}

static const char *name_of(const struct dl_phdr_info *object)
{
	return *object->dlpi_name ? object->dlpi_name : "the program";
}

/*
 * What points into the object itself leads to the loader. Or it is bound, to a function of its own,
 * which is the one that is found once more.
 */
static int bind_table(const struct table *table, struct binding *job)
{
	fixup_fn fixup = find_fixup(table->got[2]);
	const uintptr_t *place;
	uintptr_t function;
	uint32_t i;

	if (!fixup)
		return faasctl__fail(job->err, ENOEXEC,
			"%.200s binds functions when they are first called, in a way that is not known: start this process with LD_BIND_NOW=1",
			name_of(table->object));
	for (i = 0; i < table->size / sizeof(*table->entries); i++) {
		place = (void *)(table->object->dlpi_addr + table->entries[i].r_offset);
		if (ELF64_R_TYPE(table->entries[i].r_info) != R_X86_64_JUMP_SLOT ||
		    !is_own(table->object, *place))
			continue;
		job->late++;
		if (!job->bind)
			continue;
		function = fixup(table->map, i);
		if (*place != function)
			return faasctl__fail(job->err, ENOEXEC,
				"the loader does not bind functions of %.200s: start this process without LD_BIND_NOT",
				name_of(table->object));
	}
	return 0;
}

static int look_at(struct dl_phdr_info *object, size_t size, void *arg)
{
	struct table table = { .object = object };

	read_dynamic(&table);
	return is_bound_late(&table) ? bind_table(&table, arg) : 0;
}

/* What the trial says in the end. */
#define BOUND	'+'

/*
 * In a process of its own, which ends with it: of a function that is nowhere the loader says so,
 * and ends the process.
 */
static void try_there(int out) __attribute__((noreturn));

static void try_there(int out)
{
	struct faasctl_error err = { 0 };
	struct binding job = { .err = &err, .bind = true };
	static const char bound = BOUND;
	const char *text = &bound;
	size_t len = 1;

	dup2(out, STDERR_FILENO);
	if (dl_iterate_phdr(look_at, &job)) {
		text = err.message;
		len = strlen(text);
	}
	_exit(write(out, text, len) != (ssize_t)len);
}

/* Whether all can be bound. */
static int try_binding(struct faasctl_error *err)
{
	char text[300] = "";
	int ends[2], status = 0;
	ssize_t len;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return faasctl__fail_errno(err, errno, "cannot try to bind all functions");
	/* No handlers of the host's: this is none of its children. */
	pid = _Fork();
	if (!pid)
		try_there(ends[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	len = pid > 0 ? read(ends[0], text, sizeof(text) - 1) : 0;
	close(ends[0]);
	close(ends[1]);
	if (pid < 0)
		return faasctl__fail(err, ENOMEM, "cannot try to bind all functions: no process for that");
	if (len > 0 && text[len - 1] == BOUND)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return faasctl__fail(err, ENOEXEC,
		"functions of this process cannot be bound before they are called: %.250s",
		*text ? text : WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "the loader gave up");
}

/* Binds all functions. Returns 0 or a negative errno; then it is as it was. */
int bind_all(struct faasctl_error *err)
{
	struct binding job = { .err = err };
	int ret = dl_iterate_phdr(look_at, &job);

	/* Most often all are bound, by LD_BIND_NOW=1, say. */
	if (!ret && job.late)
		ret = try_binding(err);
	if (ret || !job.late)
		return ret;
	job.bind = true;
	return dl_iterate_phdr(look_at, &job);
}
