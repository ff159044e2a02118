/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the problems that options_apply returns, and the options. */
#include <stdio.h>

#include "../options.h"

/* The first argument is the kind of the module, a digit. */
int main(int argc, char **argv)
{
	const struct module module = { "module", "default", (enum kind)(argv[1][0] - '0') };
	struct options o;

	options_init(&o, &module);
	for (int i = 2; i < argc; i++) {
		const char *problem = options_apply(&o, &module, argv[i]);

		if (problem)
			printf("%s: %s\n", argv[i], problem);
	}
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
