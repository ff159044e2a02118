/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_NSSWITCH_H
#define PAMNET_NSSWITCH_H

#include <stdbool.h>
#include <stddef.h>

#define SOURCES_MAX 24
#define SOURCE_NAME_MAX 32

enum database { DATABASE_PASSWD, DATABASE_GROUP, DATABASE_INITGROUPS, DATABASES };

/* A source of a database, as nsswitch.conf(5) names it: { DATABASE_GROUP, "ldap" }. */
struct source {
	enum database database;
	char name[SOURCE_NAME_MAX];
	bool loaded;   /* by source_load */
	void *library; /* of a loaded source: the handle of dlopen(3) */
};

struct sources {
	struct source list[SOURCES_MAX];
	size_t count;
};

/*
 * Runs in the login process, and in the child. Reads the sources of accounts and groups from
 * /etc/nsswitch.conf. A database without a line has libc's default. Actions in brackets are
 * ignored, see member.h. Returns false with errno set if the file cannot be read, or names more
 * sources than fit.
 */
bool nsswitch_read(struct sources *s);

/* Returns whether the source of this name reads files of this machine and asks no directory. */
bool nsswitch_is_local(const char *name);

/* Returns whether all sources do. */
bool nsswitch_all_local(const struct sources *s);

#endif
