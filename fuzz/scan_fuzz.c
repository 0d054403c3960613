// SPDX-License-Identifier: GPL-2.0
/* ELF files as libfaasdomain looks through them, before a function is loaded. */
#include <faasctl/domain.h>

#include "harness.h"

struct job {
	struct bytes file;
	size_t n;
};

static int note(const struct faasctl_scan_hit *hit, void *arg)
{
	struct job *job = arg;
	const uint8_t *code = job->file.p + hit->offset;

	job->n++;
	PROMISE(strcmp(faasctl_scan_name(hit->kind), "unknown"),
		"a finding has a name");
	if (hit->kind == FAASCTL_SCAN_WRPKRU || hit->kind == FAASCTL_SCAN_XRSTOR) {
		PROMISE(hit->offset < job->file.left && code[0] == 0x0f,
			"an instruction that is found is in the file");
		PROMISE((hit->address & 4095) == (hit->offset & 4095),
			"memory and file agree on where in a page it is");
	}
	/* A file can have as many as it likes. */
	return job->n < 10000 ? 0 : -EDOM;
}

static int scan(void *arg)
{
	struct faasctl_error err = { 0 };
	struct job *job = arg;
	int ret;

	ret = faasctl_scan_memory(job->file.p, job->file.left, "a file", note,
				  job, &err);
	if (ret && ret != -EDOM) {
		harness_check_error(&err, ret);
		PROMISE(ret == -ENOEXEC, "a bad file is said to be one");
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct job job = { .file = { data, size } };
	struct output output;

	harness_run(scan, &job, &output);
	PROMISE(!output.len && !output.errors_len, "the library prints nothing");
	harness_output_free(&output);
	return 0;
}
