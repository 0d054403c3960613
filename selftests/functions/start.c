// SPDX-License-Identifier: GPL-2.0
/* A function that starts a program and prints what it says, or why it could not. */
#include <faasctl/function.h>
#include <stdio.h>

int faas_main(struct faas_io *io)
{
	char text[100];
	FILE *f = popen("echo a program", "r");

	if (!f || !fgets(text, sizeof(text), f)) {
		perror("popen");
		return 1;
	}
	fputs(text, stdout);
	return pclose(f);
}
