/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: lookup newnet|groupnet USER GROUP
 *
 * Asks all sources of nsswitch.conf whether the user is a member.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lookup.h"
#include "../sources.h"

/* glibc 2.36 itself loses a long line of nsswitch.conf. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:__libc_dynarray_emplace_enlarge";
}

static void print(const struct lookup *l, const struct answer *a)
{
	const char *no_user = l->user_known ? "" : ", no user";

	switch (a->membership) {
	case MEMBER:
		printf("member of %s%s as %s\n", a->group, a->several ? " and others" : "", l->user);
		break;
	case NONMEMBER:
		printf("non-member%s\n", no_user);
		break;
	case NO_GROUP:
		printf("non-member%s, no group\n", no_user);
		break;
	case UNKNOWN:
		printf("unknown%s%s\n", *a->problem ? ": " : "", a->problem);
		break;
	}
}

int main(int argc, char **argv)
{
	struct sources sources;
	struct lookup l;
	struct answer a;

	if (argc != 4)
		return 1;
	if (!sources_read(&sources)) {
		printf("unknown: /etc/nsswitch.conf: %s\n", strerror(errno));
		return 0;
	}
	lookup_begin(&l, &sources, argv[2]);
	lookup_ask(&l, strcmp(argv[1], "groupnet") == 0 ? KIND_GROUPNET : KIND_NEWNET, argv[3], &a);
	print(&l, &a);
	lookup_end(&l);
	return 0;
}
