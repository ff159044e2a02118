/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_LOOKUP_H
#define PAMNET_LOOKUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "module.h"

#define LOOKUP_NAME_MAX 256

enum membership {
	MEMBERSHIP_UNPROVEN,
	MEMBERSHIP_MEMBER,
	MEMBERSHIP_NONE,
};

/* What libc's name service says of a user and a group. */
struct lookup {
	enum membership membership;
	bool user_known; /* uid, gid and user are those of the passwd entry */
	uid_t uid;
	gid_t gid;
	char user[LOOKUP_NAME_MAX];  /* the account's name, in the spelling of its passwd entry */
	char group[LOOKUP_NAME_MAX]; /* the group that makes the user a member */
	bool group_missing;	     /* nobody is a member, for there is no such group */
	bool local;		     /* all sources are files of this machine */
	bool several;		     /* more than one group matches; group is the first */
	char problem[LOOKUP_NAME_MAX]; /* why nothing is proven */
};

/*
 * Asks every source of the name service about user and group (for KIND_GROUPNET:
 * about the user's groups named GROUP-NAME), and knows which of them have failed.
 */
void lookup(struct lookup *l, enum kind kind, const char *user, const char *group);

#endif
