/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for the shim: starts Go when it is told to, and reads its own data before and after. */
#include "../../../../pam/relocate.h"
#include "module.h"

typedef void go_init(void);
extern go_init *const pamnet_go_init_start[] __attribute__((visibility("hidden")));
extern const struct relocations pamnet_go_relocations __attribute__((visibility("hidden")));
extern char __ehdr_start[] __attribute__((visibility("hidden")));

static char target;
static char *const constant = &target;
static char *volatile data = &target;

const char *pam_sm_open_session(void);

/* Returns what is wrong, NULL if nothing is. */
const char *pam_sm_open_session(void)
{
	static char *const *volatile at = &constant;

	if (go_started)
		return "loading the module has started Go";
	if (*at != &target || data != &target || counter != 1)
		return "the shim's data was not relocated when the module was loaded";
	if (!relocate(__ehdr_start, &pamnet_go_relocations))
		return "relocate has failed";
	counter++;
	data = NULL;
	(*pamnet_go_init_start)();
	return go_started ? NULL : "Go's data is not relocated";
}
