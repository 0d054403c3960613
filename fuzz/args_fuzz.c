// SPDX-License-Identifier: GPL-2.0
/*
 * Whole command lines, a word behind each newline, up to where the module would be
 * asked; and numbers and sizes, which are read here once more in another way.
 */
#include "harness.h"
#include "tool.h"

#define WORDS_MAX	16

struct number {
	struct args args;
	uint32_t max;
	int base;
	uint64_t value;
};

/* The number that @s is, or -1. */
static __int128 digits(const char *s, size_t len, int base)
{
	__int128 value = 0;
	size_t i;

	if (!len)
		return -1;
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] >= '0' + base)
			return -1;
		if (value <= UINT64_MAX)
			value = value * base + s[i] - '0';
	}
	return value;
}

static int read_u32(void *arg)
{
	struct number *number = arg;

	number->value = parse_u32(&number->args, number->max, number->base);
	return 0;
}

static int read_size(void *arg)
{
	struct number *number = arg;

	number->value = parse_size(&number->args);
	return 0;
}

/* @want: the value, or less than 0 if there is none */
static void agree(int (*fn)(void *arg), struct number *number, __int128 want)
{
	struct output output;
	int status;

	status = harness_run(fn, number, &output);
	PROMISE(!output.len, "nothing goes to standard output");
	if (want < 0)
		PROMISE(status == STATUS_USAGE && output.errors_len,
			"what is no number is refused, and said");
	else
		PROMISE(!status && number->value == (uint64_t)want,
			"a number is read as what it is");
	harness_output_free(&output);
}

static void check_numbers(const char *s)
{
	struct number number = { .args = { .command = &link_command, .value = s } };
	size_t len = strlen(s);
	__int128 want;
	int shift = 0;

	number.max = UINT32_MAX - 1;
	number.base = 10;
	want = digits(s, len, 10);
	agree(read_u32, &number, want > number.max ? -1 : want);
	number.max = 0777;
	number.base = 8;
	want = digits(s, len, 8);
	agree(read_u32, &number, want > number.max ? -1 : want);

	if (len && strchr("KMG", s[len - 1])) {
		shift = s[len - 1] == 'K' ? 10 : s[len - 1] == 'M' ? 20 : 30;
		len--;
	}
	want = digits(s, len, 10);
	if (want >= 0)
		want = want > UINT64_MAX ? -1 : want << shift;
	/* One bit is kept free: nobody has as much. */
	agree(read_size, &number, want > INT64_MAX ? -1 : want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[WORDS_MAX], *argv[WORDS_MAX + 2] = { "faasctl" };
	struct bytes in = { data, size };
	struct output output;
	int i, n = 0, status;

	while (n < WORDS_MAX && in.left)
		words[n++] = bytes_string(&in, '\n');
	for (i = 0; i < n; i++)
		argv[i + 1] = words[i];

	harness_answers((struct bytes){ data, 0 });
	harness_unreachable(true);
	harness_files(0);
	status = harness_tool(n + 1, argv, &output);
	PROMISE(status == STATUS_OK || status == STATUS_USAGE ||
		status == STATUS_REFUSED || status == STATUS_WRAPPER,
		"the exit status is one of those documented");
	PROMISE(status == STATUS_OK || output.errors_len || output.len,
		"a failure says why");
	harness_check_printable(output.text, output.len);
	harness_check_printable(output.errors, output.errors_len);
	harness_output_free(&output);

	if (n)
		check_numbers(words[n - 1]);
	for (i = 0; i < n; i++)
		free(words[i]);
	return 0;
}
