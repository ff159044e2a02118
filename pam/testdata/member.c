/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: member newnet|groupnet USER GROUP
 *
 * Asks all sources of nsswitch.conf whether the user is a member.
 */
#include <stdio.h>
#include <string.h>

#include "../child.h"

/* glibc 2.36 itself loses a long line of nsswitch.conf. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:__libc_dynarray_emplace_enlarge";
}

static void print(const struct account *account, const struct answer *a)
{
	const char *no_user = account->known ? "" : ", no user";

	switch (a->membership) {
	case MEMBER:
		printf("member of %s%s as %s\n", a->group, a->several ? " and others" : "", account->name);
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
	struct account account = { 0 };
	struct answer a;

	if (argc != 4)
		return 1;
	child_read(&account, argv[2]);
	child_ask(&account, strcmp(argv[1], "groupnet") == 0 ? KIND_GROUPNET : KIND_NEWNET, argv[3], &a);
	print(&account, &a);
	account_free(&account);
	return 0;
}
