// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's answers as the tool prints them. The first byte chooses the command
 * line; what follows is received, the answer to the question for the module's
 * version first.
 */
#include <jansson.h>

#include "harness.h"

static char *const lines[][6] = {
	{ "faasctl", "show" },
	{ "faasctl", "show", "-j" },
	{ "faasctl", "dump", "-H" },
	{ "faasctl", "stage", "show" },
	{ "faasctl", "stage", "show", "-j", "wf1", "a" },
	{ "faasctl", "workflow", "show" },
	{ "faasctl", "workflow", "show", "-j" },
	{ "faasctl", "unlink", "wf1", "a", "b" },
	{ "faasctl", "status" },
	{ "faasctl", "status", "-j" },
	{ "faasctl", "top", "--once" },
	{ "faasctl", "top", "-j" },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	uint8_t which = bytes_u8(&in) % ARRAY_SIZE(lines);
	struct output output;
	bool prints_json = false;
	char *argv[7] = { NULL };
	int argc;

	for (argc = 0; argc < 6 && lines[which][argc]; argc++) {
		argv[argc] = lines[which][argc];
		prints_json = prints_json || !strcmp(argv[argc], "-j");
	}
	harness_answers(in);
	harness_tool(argc, argv, &output);
	/* JSON has no control characters but DEL, which it lets be. */
	if (prints_json && output.len) {
		json_t *json = json_loadb(output.text, output.len, 0, NULL);

		PROMISE(json, "what is printed as JSON is JSON");
		json_decref(json);
	} else {
		harness_check_printable(output.text, output.len);
	}
	harness_check_printable(output.errors, output.errors_len);
	harness_output_free(&output);
	return 0;
}
