/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process, and in pamnetctl. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT 10
#define TIMEOUT_MAX 3600

/* Returns the value of an argument NAME=VALUE, NULL of any other argument. */
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
		return "timeout= must be whole seconds from 1 to 3600";
	o->timeout = (unsigned int)seconds;
	return NULL;
}

static const char *add_mask(struct options *o, const char *value)
{
	if (value[0] != '/')
		return "mask= must be an absolute path";
	if (o->nmasks == OPTIONS_MASKS_MAX)
		return "at most 64 mask= arguments are allowed";
	o->masks[o->nmasks++] = value;
	return NULL;
}

static const char *set_refusal(struct options *o, const char *value)
{
	if (strcmp(value, "empty") != 0)
		return "only refusal=empty is supported";
	o->refusal_empty = true;
	return NULL;
}

void options_init(struct options *o, const struct module *module)
{
	*o = (struct options){ .group = module->group, .timeout = TIMEOUT_DEFAULT };
}

const char *options_apply(struct options *o, const struct module *module, const char *argument)
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

	if (module->kind == KIND_GROUPNET && strcmp(argument, "selfmanaged") == 0)
		return "not supported by pam_groupnet";
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
	if (value && module->kind == KIND_NEWNET)
		return "not supported by pam_newnet";
	if (value) {
		o->setup = value;
		return NULL;
	}
	value = value_of(argument, "group");
	if (value && !*value)
		return "group= must name a group";
	if (value) {
		o->group = value;
		return NULL;
	}
	return "no such argument";
}
