/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: lookup newnet|groupnet USER GROUP
 *
 * Asks as a login does: quickly, and if that proves nothing the hard way.
 */
#include <stdio.h>
#include <string.h>

#include "../lookup.h"

/* glibc 2.36 itself loses a long line of nsswitch.conf. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:__libc_dynarray_emplace_enlarge";
}

static void print(const struct lookup *l)
{
	switch (l->membership) {
	case MEMBERSHIP_MEMBER:
		printf("member of %s%s as %s\n", l->group, l->several ? " and others" : "", l->user);
		break;
	case MEMBERSHIP_NONE:
		printf("none%s%s\n", l->user_known ? "" : ", no user", l->group_missing ? ", no group" : "");
		break;
	case MEMBERSHIP_UNPROVEN:
		printf("unproven%s%s\n", *l->problem ? ": " : "", l->problem);
		break;
	}
}

int main(int argc, char **argv)
{
	struct lookup l;
	enum kind kind;

	if (argc != 4)
		return 1;
	kind = strcmp(argv[1], "groupnet") == 0 ? KIND_GROUPNET : KIND_NEWNET;
	lookup(&l, kind, argv[2], argv[3]);
	print(&l);
	return 0;
}
