// SPDX-License-Identifier: GPL-2.0
/*
 * Paths of cgroups, as people give them and as the kernel tells them: what is
 * opened, made and removed by them. No file is real. Input: which calls fail, what
 * to do, then three texts with a NUL behind each: the path, the workflow and the
 * stage, and the rest is mountinfo.
 */
#include "harness.h"
#include "process.h"

struct job {
	uint8_t what;
	char *path;
	char *workflow;
	char *stage;
};

static void done(int fd, const struct faasctl_error *err)
{
	if (fd < 0)
		harness_check_error(err, fd);
	else
		close(fd);
}

/* The kernel's answer about a stage that is bound to the path. */
static void answer(const struct job *job, uint8_t *buf, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_size(size);
	struct nlmsghdr *hdr;

	if (!msg)
		abort();
	genlmsg_put(msg, 0, 1, HARNESS_FAMILY, 0, 0, FAASIN_CMD_STAGE_GET,
		    FAASIN_GENL_VERSION);
	nla_put_string(msg, FAASIN_A_STAGE_WORKFLOW, job->workflow);
	nla_put_string(msg, FAASIN_A_STAGE_NAME, job->stage);
	nla_put_u64(msg, FAASIN_A_STAGE_CGROUP_ID, 7);
	nla_put_string(msg, FAASIN_A_STAGE_CGROUP_PATH, job->path);
	nla_put_u32(msg, FAASIN_A_STAGE_FLAGS,
		    job->what & 0x80 ? FAASIN_STAGE_F_CGROUP_GONE : 0);
	hdr = nlmsg_hdr(msg);
	buf[0] = hdr->nlmsg_len;
	buf[1] = hdr->nlmsg_len >> 8;
	memcpy(buf + 2, hdr, hdr->nlmsg_len);
	nlmsg_free(msg);
}

static void join(const struct job *job)
{
	static const struct nlmsghdr end = {
		.nlmsg_len = NLMSG_HDRLEN + sizeof(struct nlmsgerr),
		.nlmsg_type = NLMSG_ERROR,
		.nlmsg_seq = 1,
	};
	struct process process = PROCESS_INIT;
	uint8_t buf[16384] = { 0 }, *behind;
	struct faasctl *ctl;
	size_t len;

	answer(job, buf, 12000);
	behind = buf + 2 + (buf[0] | buf[1] << 8);
	behind[0] = end.nlmsg_len;
	behind[1] = 0;
	memcpy(behind + 2, &end, sizeof(end));
	len = behind + 2 + end.nlmsg_len - buf;
	harness_answers((struct bytes){ buf, len });
	ctl = harness_handle();
	process.workflow = job->workflow;
	process.stage = job->stage;
	process_cgroup(&process, ctl);
	process_close(&process);
	faasctl_close(ctl);
}

static int run(void *arg)
{
	struct faasctl_error err = { 0 };
	struct job *job = arg;
	int ret;

	switch (job->what & 3) {
	case 0:
		done(faasctl_cgroup_open(job->path, &err), &err);
		break;
	case 1:
		done(faasctl_cgroup_default(job->workflow, job->stage, &err), &err);
		break;
	case 2:
		ret = faasctl_cgroup_remove(job->workflow, job->stage, &err);
		if (ret)
			harness_check_error(&err, ret);
		break;
	case 3:
		join(job);
		break;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	uint8_t refusals = bytes_u8(&in);
	struct job job = { .what = bytes_u8(&in) };
	struct output output;

	job.path = bytes_string(&in, '\0');
	job.workflow = bytes_string(&in, '\0');
	job.stage = bytes_string(&in, '\0');
	/* Longer ones do not come from the kernel; the library may be given any. */
	if (strlen(job.path) < 4096 && strlen(job.workflow) + strlen(job.stage) < 4096) {
		harness_answers((struct bytes){ data, 0 });
		harness_mountinfo(in);
		harness_files(refusals);
		harness_run(run, &job, &output);
		PROMISE(!output.len, "nothing goes to standard output");
		harness_check_printable(output.errors, output.errors_len);
		harness_output_free(&output);
	}
	free(job.path);
	free(job.workflow);
	free(job.stage);
	return 0;
}
