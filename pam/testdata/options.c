/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints what options_parse complains about, and what it makes of the arguments. */
#include <stdio.h>

#include "../options.h"

static void complain(void *context, const char *argument, const char *problem)
{
	fprintf(context, "%s: %s\n", argument, problem);
}

/* The first argument is the kind of the module, a digit. */
int main(int argc, char **argv)
{
	const struct module module = { "module", "default", (enum kind)(argv[1][0] - '0') };
	struct options o;

	options_parse(&o, &module, argc - 2, (const char *const *)argv + 2, complain, stdout);
	printf("group=%s timeout=%u%s%s%s%s%s%s%s", o.group, o.timeout, o.debug ? " debug" : "",
	       o.lodown ? " lodown" : "", o.rootshared ? " rootshared" : "",
	       o.shownetns ? " shownetns" : "", o.keepresolver ? " keepresolver" : "",
	       o.selfmanaged ? " selfmanaged" : "", o.refusal_empty ? " refusal=empty" : "");
	if (o.setup)
		printf(" setup=%s", o.setup);
	for (size_t i = 0; i < o.nmasks; i++)
		printf(" mask=%s", o.masks[i]);
	printf("\n");
	return 0;
}
