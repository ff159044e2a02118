/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_OPTIONS_H
#define PAMNET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "module.h"

#define OPTIONS_MASKS_MAX 64

/*
 * The arguments of the module's line in pam.d. The strings are those of argv, and live as long
 * as argv does.
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
	const char *setup;  /* NULL: none; the core checks anything else */
	const char *masks[OPTIONS_MASKS_MAX];
	size_t nmasks;
};

/* Sets *o to the module's defaults. */
void options_init(struct options *o, const struct module *module);

/*
 * Runs in the login process, and in pamnetctl. Applies one argument. Returns NULL, or the problem
 * of an argument that is unknown, malformed or not for this module. The caller must report the
 * problem and go on: a typo must not lock anybody out.
 */
const char *options_apply(struct options *o, const struct module *module, const char *argument);

#endif
