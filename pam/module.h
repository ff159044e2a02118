/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_MODULE_H
#define PAMNET_MODULE_H

/* Which network namespace the members of a module's group get. Twin: session.Kind in Go. */
enum kind {
	KIND_NEWNET,   /* a new, empty one for each session */
	KIND_USERNET,  /* the one named after the user */
	KIND_GROUPNET, /* the one named by the group, GROUP-NAME */
	KINDS,
};

struct module {
	const char *name;  /* as it stands in the log: "pam_newnet" */
	const char *group; /* the default of group=; for KIND_GROUPNET what stands before "-NAME" */
	enum kind kind;
};

/* All modules, by their kind. */
extern const struct module pamnet_modules[KINDS];

/* The module that this is. Each command of cmd/ defines it. Weak, so that this package links alone. */
extern const struct module *const pamnet_module __attribute__((weak));

#endif
