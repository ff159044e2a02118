/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process, in the child and in pamnetctl. */
#define _GNU_SOURCE
#include "member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool copy_name(char to[NAME_SIZE], const char *from, const char *what, char reason[REASON_MAX])
{
	size_t n = strlen(from);

	if (n >= NAME_SIZE)
		return fail(reason, "%s: %s", what, strerror(ENAMETOOLONG));
	memcpy(to, from, n + 1);
	return true;
}

void account_free(struct account *a)
{
	free(a->buffer.data);
	free(a->groups.gids);
	*a = (struct account){ .sources = a->sources };
}

void account_read(struct account *a, const char *user)
{
	struct source *end = a->sources.list + a->sources.count;
	struct passwd entry;
	gid_t primary;

	account_free(a);
	if (!copy_name(a->name, user, "user name", a->problem))
		return;
	for (struct source *s = a->sources.list; s < end; s++)
		source_load(s, a->problem);
	for (struct source *s = a->sources.list; s < end && !a->known; s++) {
		if (s->database != DATABASE_PASSWD || !s->loaded ||
		    !source_user(s, user, &entry, &a->buffer, a->problem) ||
		    !copy_name(a->name, entry.pw_name, "user name", a->problem))
			continue;
		a->known = true;
		a->uid = entry.pw_uid;
		a->gid = entry.pw_gid;
	}
	primary = a->known ? a->gid : (gid_t)-1;
	for (struct source *s = a->sources.list; s < end; s++) {
		if (s->database != DATABASE_PASSWD && s->loaded)
			source_groups_of_user(s, a->name, primary, &a->groups, &a->buffer, a->problem);
	}
}

bool account_is_local_root(const char *user)
{
	struct account a = { .sources = { { { DATABASE_PASSWD, "files", false, NULL } }, 1 } };
	bool root;

	account_read(&a, user);
	root = a.known && a.uid == 0;
	account_free(&a);
	return root;
}

static bool has_gid(const struct account *a, gid_t gid)
{
	if (a->known && gid == a->gid)
		return true;
	for (long i = 0; i < a->groups.count; i++) {
		if (a->groups.gids[i] == gid && gid != (gid_t)-1)
			return true;
	}
	return false;
}

static void match(struct answer *answer, const char *group, gid_t gid, bool listed)
{
	if (answer->group[0]) {
		answer->several |= strcmp(answer->group, group) != 0;
		return;
	}
	copy_name(answer->group, group, "group name", answer->problem);
	answer->gid = gid;
	answer->listed = listed;
}

/* Looks in all sources for the group of this name. Returns whether there is one. */
static bool find_group(struct account *a, const char *group, struct answer *answer)
{
	bool exists = false;
	struct group entry;

	for (size_t i = 0; i < a->sources.count; i++) {
		const struct source *s = &a->sources.list[i];
		bool listed;

		if (s->database == DATABASE_PASSWD || !s->loaded ||
		    !source_group(s, group, &entry, &a->buffer, answer->problem))
			continue;
		exists = true;
		listed = group_lists(&entry, a->name);
		if (listed || has_gid(a, entry.gr_gid))
			match(answer, group, entry.gr_gid, listed);
	}
	return exists;
}

/* Looks up a group of the user's, which matches if its name begins with "PREFIX-". */
static void look_up_group(struct account *a, gid_t gid, const char *prefix, struct answer *answer)
{
	size_t n = strlen(prefix);
	struct group entry;

	for (size_t i = 0; i < a->sources.count; i++) {
		const struct source *s = &a->sources.list[i];

		if (s->database == DATABASE_GROUP && s->loaded &&
		    source_group_of_id(s, gid, &entry, &a->buffer, answer->problem) &&
		    strncmp(entry.gr_name, prefix, n) == 0 && entry.gr_name[n] == '-')
			match(answer, entry.gr_name, gid, false);
	}
}

void member_ask(struct account *a, enum kind kind, const char *group, struct answer *answer)
{
	bool exists = true;

	*answer = (struct answer){ .membership = UNKNOWN };
	if (kind != KIND_GROUPNET) {
		exists = find_group(a, group, answer);
	} else {
		if (a->known)
			look_up_group(a, a->gid, group, answer);
		for (long i = 0; i < a->groups.count; i++)
			look_up_group(a, a->groups.gids[i], group, answer);
	}
	if (a->problem[0])
		memcpy(answer->problem, a->problem, sizeof(answer->problem));
	/*
	 * A member is a member even if another source has failed, unless the passwd entry is
	 * missing: then neither the uid nor the spelling of the name is known.
	 */
	if (answer->group[0] && (a->known || !answer->problem[0]))
		answer->membership = MEMBER;
	else if (!answer->problem[0])
		answer->membership = exists ? NONMEMBER : NO_GROUP;
}
