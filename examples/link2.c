// SPDX-License-Identifier: LGPL-2.1-or-later
/* Links two stages: link2 WORKFLOW STAGE STAGE. Creates what is missing. */
#include <faasctl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct faasctl *ctl = NULL;
	struct faasctl_error err;
	const char *stages[2];
	int ret;

	if (argc != 4) {
		fputs("Usage: link2 WORKFLOW STAGE STAGE\n", stderr);
		return 1;
	}
	stages[0] = argv[2];
	stages[1] = argv[3];
	ret = faasctl_open(&ctl, &err);
	if (!ret)
		ret = faasctl_chain_add(ctl, argv[1], stages, 2, NULL, NULL, &err);
	if (ret)
		fprintf(stderr, "link2: %s\n", err.message);
	faasctl_close(ctl);
	return ret ? 1 : 0;
}
