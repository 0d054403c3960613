// SPDX-License-Identifier: GPL-2.0
/*
 * Names, ends of links and the words for numbers. What is a name is said here once
 * more, in other words, and both must agree.
 */
#include "harness.h"

static bool is_name(const char *s)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(s);

	return len >= 1 && len <= 63 && strspn(s, chars) == len &&
	       s[0] != '.' && strcmp(s, "self");
}

static bool is_end(const char *s)
{
	const char *colon = strchr(s, ':');
	bool good;
	char *stage;

	if (!colon)
		return is_name(s);
	stage = strndup(s, colon - s);
	if (!stage)
		abort();
	good = is_name(stage) && is_name(colon + 1);
	free(stage);
	return good;
}

static void agree(int ret, bool good, const struct faasctl_error *err)
{
	PROMISE(!ret == good, "a name is good if and only if it is taken");
	if (ret)
		harness_check_error(err, ret);
}

static void check_end(const char *s)
{
	struct faasctl_error err = { 0 };
	struct faasctl__end end;
	size_t len;
	int ret;

	memset(&end, 'x', sizeof(end));
	ret = faasctl__end_parse(s, &end, &err);
	agree(ret, is_end(s), &err);
	if (ret)
		return;
	len = strlen(end.stage);
	PROMISE(!strncmp(s, end.stage, len), "an end begins with its stage");
	if (s[len])
		PROMISE(s[len] == ':' && !strcmp(s + len + 1, end.port),
			"an end ends with its port");
	else
		PROMISE(!end.port[0], "an end without a port has none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct faasctl_error err = { 0 };
	uint32_t number = 0;
	char *s;
	int i;

	for (i = 0; i < 4; i++)
		number = number << 8 | bytes_u8(&in);
	PROMISE(*faasctl_event_name(number) && *faasctl_cause_name(number) &&
		*faasctl_abort_on_name(number) && *faasctl_slow_name(number) &&
		*faasctl_early_close_name(number) && *faasctl_merge_name(number),
		"every number has a word");

	s = bytes_string(&in, '\0');
	agree(faasctl_name_check("stage", s, &err), is_name(s), &err);
	check_end(s);
	/* Nobody has to want the text. */
	PROMISE(!faasctl_name_check("port", s, NULL) == is_name(s),
		"the answer does not depend on who hears why");
	free(s);
	return 0;
}
