// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl scan: what keeps a function from sharing a process with others. */
#include <faasctl/domain.h>
#include <jansson.h>

#include "tool.h"

static const struct option_row options[] = {
	{ 'j', "json", NULL, "print JSON" },
	{ 0 },
};

static const char *const explanations[] = {
	[FAASCTL_SCAN_WRPKRU] = "WRPKRU: it can give itself every key",
	[FAASCTL_SCAN_XRSTOR] = "XRSTOR: it can give itself every key",
	[FAASCTL_SCAN_WRITABLE] = "code that can be written: what it will be is not known",
	[FAASCTL_SCAN_TEXTREL] = "relocations in code: what it will be is not known",
	[FAASCTL_SCAN_EXECSTACK] = "it asks for stacks that can be executed",
};

/**
 * struct findings - of all files
 * @n: how many
 * @json: those of the present file as JSON, or NULL: they are printed
 */
struct findings {
	uint64_t n;
	json_t *json;
};

static int note(const struct faasctl_scan_hit *hit, void *arg)
{
	struct findings *findings = arg;

	findings->n++;
	if (findings->json)
		return json_array_append_new(findings->json,
			json_pack("{s:s, s:I, s:I}",
				  "kind", faasctl_scan_name(hit->kind),
				  "address", (json_int_t)hit->address,
				  "offset", (json_int_t)hit->offset)) ? -ENOMEM : 0;
	print_escaped(hit->path, stdout);
	if (hit->kind == FAASCTL_SCAN_EXECSTACK)
		printf(": %s\n", explanations[hit->kind]);
	else
		printf(": 0x%llx (byte %llu of the file): %s\n",
		       (unsigned long long)hit->address,
		       (unsigned long long)hit->offset, explanations[hit->kind]);
	return 0;
}

static int scan(const char *path, struct findings *findings, json_t *files)
{
	struct faasctl_error err = { .message = "out of memory" };
	json_t *file = NULL;
	int ret;

	if (files) {
		findings->json = json_array();
		file = json_pack("{s:o, s:O}", "file", json_text(path),
				 "findings", findings->json);
	}
	ret = faasctl_scan_file(path, note, findings, &err);
	if (file && ret)
		json_object_set_new(file, "error", json_text(err.message));
	if (file)
		json_array_append_new(files, file);
	json_decref(findings->json);
	findings->json = NULL;
	return ret ? fail(&err) : STATUS_OK;
}

static int run(struct args *args)
{
	struct findings findings = { 0 };
	int n, i, status = STATUS_OK;
	json_t *files = NULL;
	bool json;

	json = args_json(args);
	n = args_rest(args, 1, -1);
	if (json)
		files = json_array();
	for (i = 0; i < n; i++)
		if (scan(args->argv[i], &findings, files))
			status = STATUS_REFUSED;
	if (findings.n)
		status = STATUS_REFUSED;
	if ((json ? json_print(json_pack("{s:o}", "files", files)) :
		    finish_output()) != STATUS_OK)
		status = STATUS_REFUSED;
	return status;
}

const struct command scan_command = {
	.name = "scan",
	.run = run,
	.args = "[OPTION]... FILE...",
	.help = "Look for code that could undo protection keys",
	.example = "faasctl scan ./resize.so",
	.options = options,
};
