/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints what options_parse complains about, and what it makes of the arguments. */
#include <stdio.h>

#include "../options.h"

static void complain(void *context, const char *argument, const char *problem)
{
	fprintf(context, "%s: %s\n", argument, problem);
}

int main(int argc, char **argv)
{
	struct options o;

	options_parse(&o, "default", argc - 1, (const char *const *)argv + 1, complain, stdout);
	printf("group=%s timeout=%u%s%s%s%s%s", o.group, o.timeout, o.debug ? " debug" : "",
	       o.lodown ? " lodown" : "", o.rootshared ? " rootshared" : "",
	       o.shownetns ? " shownetns" : "", o.keepresolver ? " keepresolver" : "");
	for (size_t i = 0; i < o.nmasks; i++)
		printf(" mask=%s", o.masks[i]);
	printf("\n");
	return 0;
}
