/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_OPTIONS_H
#define PAMNET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "module.h"

#define OPTIONS_MASKS_MAX 64

/*
 * The arguments of the module's line in pam.d. The strings are those of argv:
 * they live as long as it does.
 */
struct options {
	const char *group;
	unsigned int timeout; /* seconds */
	bool debug;
	bool lodown;
	bool rootshared;
	bool shownetns;
	bool keepresolver;
	bool selfmanaged;
	bool refusal_empty; /* after a refusal the login process gets an empty network */
	const char *setup; /* NULL: none; anything else is for the core to judge */
	const char *masks[OPTIONS_MASKS_MAX];
	size_t nmasks;
};

/*
 * Fills *o from argv, starting from the module's defaults. An argument that is
 * unknown, malformed or not for this module is skipped, and complain is called for
 * it: a typo must not lock anybody out.
 */
void options_parse(struct options *o, const struct module *module, int argc, const char *const *argv,
		   void (*complain)(void *context, const char *argument, const char *problem),
		   void *context);

#endif
