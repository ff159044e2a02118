/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes options_apply: it takes what a regular expression matches, and returns a problem of
 * all else. The input is a byte for the kind of module, and the
 * arguments, each but the last with a NUL behind it.
 */
#include "../options.c"

#include <regex.h>

#include "fuzz.h"

#define ARGUMENTS_MAX 200

static const char good[] = "^(debug|lodown|rootshared|shownetns|keepresolver|selfmanaged"
			   "|group=.+|mask=/.*|setup=.*|refusal=empty"
			   "|timeout=0*([1-9][0-9]?[0-9]?|[12][0-9]{3}|3[0-5][0-9]{2}|3600))$";

static const char *arguments[ARGUMENTS_MAX];
static bool has_problem[ARGUMENTS_MAX];

static bool is(const char *argument, const char *flag)
{
	return strcmp(argument, flag) == 0;
}

static bool is_taken(const char *argument, enum kind kind, size_t nmasks)
{
	static regex_t regex;

	if (!regex.re_nsub)
		MUST(regcomp(&regex, good, REG_EXTENDED) == 0);
	return regexec(&regex, argument, 0, NULL, 0) == 0 &&
	       !(kind == KIND_GROUPNET && is(argument, "selfmanaged")) &&
	       !(kind == KIND_NEWNET && strncmp(argument, "setup=", 6) == 0) &&
	       !(nmasks == OPTIONS_MASKS_MAX && strncmp(argument, "mask=", 5) == 0);
}

static void check(const struct options *o, enum kind kind, int argc)
{
	struct options want = { .group = "default", .timeout = 10 };

	for (int i = 0; i < argc; i++) {
		const char *argument = arguments[i], *value = strchr(argument, '=');

		MUST(has_problem[i] == !is_taken(argument, kind, want.nmasks));
		if (has_problem[i])
			continue;
		want.debug |= is(argument, "debug");
		want.lodown |= is(argument, "lodown");
		want.rootshared |= is(argument, "rootshared");
		want.shownetns |= is(argument, "shownetns");
		want.keepresolver |= is(argument, "keepresolver");
		want.selfmanaged |= is(argument, "selfmanaged");
		want.refusal_empty |= is(argument, "refusal=empty");
		switch (value ? argument[0] : '\0') {
		case 'g': want.group = value + 1; break;
		case 't': want.timeout = (unsigned int)atoi(value + 1); break;
		case 's': want.setup = value + 1; break;
		case 'm': want.masks[want.nmasks++] = value + 1; break;
		}
	}
	MUST(strcmp(o->group, want.group) == 0 && o->timeout == want.timeout);
	MUST(o->debug == want.debug && o->lodown == want.lodown);
	MUST(o->rootshared == want.rootshared && o->shownetns == want.shownetns);
	MUST(o->keepresolver == want.keepresolver && o->selfmanaged == want.selfmanaged);
	MUST(o->refusal_empty == want.refusal_empty);
	MUST(o->setup == want.setup && o->nmasks == want.nmasks);
	MUST(memcmp(o->masks, want.masks, want.nmasks * sizeof(*want.masks)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copies[ARGUMENTS_MAX];
	struct module module = { "module", "default", KIND_NEWNET };
	struct options o;
	int argc = 0;

	if (size)
		module.kind = data[0] % 3;
	for (size_t start = 1, n; start < size && argc < ARGUMENTS_MAX; start += n + 1) {
		n = strnlen((const char *)data + start, size - start);
		copies[argc] = strndup((const char *)data + start, n);
		MUST(copies[argc]);
		arguments[argc] = copies[argc];
		argc++;
	}
	options_init(&o, &module);
	for (int i = 0; i < argc; i++) {
		const char *problem = options_apply(&o, &module, arguments[i]);

		MUST(!problem || *problem);
		has_problem[i] = problem;
	}
	check(&o, module.kind, argc);
	while (argc-- > 0)
		free(copies[argc]);
	return 0;
}
