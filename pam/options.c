/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT 10
#define TIMEOUT_MAX 3600

/* The value of argument if it has the form NAME=VALUE, else NULL. */
static const char *value_of(const char *argument, const char *name)
{
	size_t n = strlen(name);

	return strncmp(argument, name, n) == 0 && argument[n] == '=' ? argument + n + 1 : NULL;
}

static const char *set_timeout(struct options *o, const char *value)
{
	char *end;
	unsigned long seconds;

	errno = 0;
	seconds = strtoul(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end || errno || seconds < 1 || seconds > TIMEOUT_MAX)
		return "wants whole seconds from 1 to 3600";
	o->timeout = (unsigned int)seconds;
	return NULL;
}

static const char *add_mask(struct options *o, const char *value)
{
	if (value[0] != '/')
		return "wants an absolute path";
	if (o->nmasks == OPTIONS_MASKS_MAX)
		return "is one too many: 64 are the most";
	o->masks[o->nmasks++] = value;
	return NULL;
}

static const char *set_refusal(struct options *o, const char *value)
{
	if (strcmp(value, "empty") != 0)
		return "wants the word empty";
	o->refusal_empty = true;
	return NULL;
}

/* Applies one argument; returns what is wrong with it, or NULL. */
static const char *apply(struct options *o, enum kind kind, const char *argument)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "debug", &o->debug },
		{ "lodown", &o->lodown },
		{ "rootshared", &o->rootshared },
		{ "shownetns", &o->shownetns },
		{ "keepresolver", &o->keepresolver },
		{ "selfmanaged", &o->selfmanaged },
	};
	const char *value;

	if (kind == KIND_GROUPNET && strcmp(argument, "selfmanaged") == 0)
		return "is for pam_newnet and pam_usernet: a shared network is no user's own";
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(argument, flags[i].name) == 0) {
			*flags[i].flag = true;
			return NULL;
		}
	}
	value = value_of(argument, "timeout");
	if (value)
		return set_timeout(o, value);
	value = value_of(argument, "mask");
	if (value)
		return add_mask(o, value);
	value = value_of(argument, "refusal");
	if (value)
		return set_refusal(o, value);
	value = value_of(argument, "setup");
	if (value && kind == KIND_NEWNET)
		return "is for named networks: pam_usernet and pam_groupnet";
	if (value) {
		o->setup = value;
		return NULL;
	}
	value = value_of(argument, "group");
	if (value && !*value)
		return "wants a group name";
	if (value) {
		o->group = value;
		return NULL;
	}
	return "is unknown";
}

void options_parse(struct options *o, const struct module *module, int argc, const char *const *argv,
		   void (*complain)(void *context, const char *argument, const char *problem),
		   void *context)
{
	*o = (struct options){ .group = module->group, .timeout = TIMEOUT_DEFAULT };
	for (int i = 0; i < argc; i++) {
		const char *problem = apply(o, module->kind, argv[i]);

		if (problem)
			complain(context, argv[i], problem);
	}
}
