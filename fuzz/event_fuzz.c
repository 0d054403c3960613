// SPDX-License-Identifier: GPL-2.0
/*
 * Events as libfaasctl takes them apart and as `faasctl monitor` prints them. The
 * first byte chooses lines or JSON; what follows is received, the answer to the
 * question for the module's version first.
 */
#include <jansson.h>

#include "harness.h"

/* A document a line. */
static void check_json(const struct output *output)
{
	const char *line = output->text, *end;
	json_t *json;

	for (; *line; line = end + 1) {
		end = strchr(line, '\n');
		PROMISE(end, "output ends in a whole line");
		json = json_loadb(line, end - line, 0, NULL);
		PROMISE(json, "what is printed as JSON is JSON");
		json_decref(json);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[] = { "faasctl", "monitor", NULL, NULL };
	struct bytes in = { data, size };
	uint8_t how = bytes_u8(&in);
	struct output output;

	if (how & 1)
		argv[2] = "--json";
	harness_answers(in);
	harness_tool(how & 1 ? 3 : 2, argv, &output);
	/* JSON has no control characters but DEL, which it lets be. */
	if (how & 1)
		check_json(&output);
	else
		harness_check_printable(output.text, output.len);
	harness_check_printable(output.errors, output.errors_len);
	harness_output_free(&output);
	return 0;
}
