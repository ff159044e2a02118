/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes nsswitch and member with nsswitch.conf(5). A user is a non-member only if every
 * source has been asked that libc reads out of it, and local only if they all are. The
 * sources know nothing. The input is nsswitch.conf, after a byte for what becomes of it,
 * enum fate.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"

/* Instead of libc's. */
static FILE *open_conf(const char *path, const char *mode);
static void *open_library(const char *name, int flags);
static void *find_function(void *library, const char *symbol);
static int connect_to_sssd(int fd, const struct sockaddr *address, socklen_t size);

#define fopen open_conf
#define dlopen open_library
#define dlsym find_function
#define connect connect_to_sssd
#include "../child_lookup.c"
#include "../member.c"
#include "../module.c"
#include "../nsswitch.c"
#include "../reason.c"
#include "../source.c"
#include "../wire.c"

#define INPUT_MAX 4096
#define BLANKS " \t\r\n\v\f"

static enum fate { READABLE, MISSING, UNREADABLE, BREAKS_OFF, FATES } fate;
static struct {
	const uint8_t *data, *rest, *end;
} conf;
static FILE *asked; /* a line for each function of a source, "_nss_ldap_getpwnam_r" */

static ssize_t read_conf(void *cookie, char *buffer, size_t size)
{
	size_t left = (size_t)(conf.end - conf.rest), n = size < left ? size : left;

	(void)cookie;
	memcpy(buffer, conf.rest, n);
	conf.rest += n;
	errno = EIO;
	return n || fate != BREAKS_OFF ? (ssize_t)n : -1;
}

static FILE *open_conf(const char *path, const char *mode)
{
	MUST(strcmp(path, "/etc/nsswitch.conf") == 0);
	errno = fate == MISSING ? ENOENT : EMFILE;
	if (fate == MISSING || fate == UNREADABLE)
		return NULL;
	return fopencookie(NULL, mode, (cookie_io_functions_t){ .read = read_conf });
}

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void *open_library(const char *name, int flags)
{
	MUST(flags == RTLD_LAZY && strncmp(name, "libnss_", 7) == 0 && ends_with(name + 7, ".so.2"));
	return &conf;
}

static enum nss_status no_such_group(const char *name, struct group *gr, char *buffer, size_t size,
				     int *error)
{
	MUST(name && strcmp(name, "net") == 0 && gr && buffer && size);
	*error = ENOENT;
	return NSS_STATUS_NOTFOUND;
}

static void *find_function(void *library, const char *symbol)
{
	/* Volatile, or gcc's analyzer takes it for the function of any name. */
	static void *volatile getgrnam = no_such_group;

	MUST(library == &conf || (library == RTLD_DEFAULT && strncmp(symbol, "_nss_files_", 11) == 0));
	fprintf(asked, "%s\n", symbol);
	return ends_with(symbol, "_getgrnam_r") ? getgrnam : NULL;
}

static int connect_to_sssd(int fd, const struct sockaddr *address, socklen_t size)
{
	MUST(fd >= 0 && address->sa_family == AF_UNIX && size);
	return 0;
}

static void check_source(const char *source, const char *function, const char *calls, bool local)
{
	static const char *const local_ones[] = { "files", "systemd", "altfiles", "extrausers", "db" };
	char call[INPUT_MAX + 64];
	bool is_local = false;

	for (size_t i = 0; i < sizeof(local_ones) / sizeof(local_ones[0]); i++)
		is_local |= strcmp(source, local_ones[i]) == 0;
	MUST(is_local || !local);
	snprintf(call, sizeof(call), "\n_nss_%s_%s\n", source, function);
	MUST(strstr(calls, call));
}

/*
 * Checks the sources of a line as libc 2.36 reads it: a colon or white space ends the
 * name of the database, white space or a bracket that of a source, and there are no
 * comments but whole lines. False if it is not the database's.
 */
static bool check_line(char *line, const char *database, const char *function, const char *calls,
		       bool local)
{
	size_t n;

	line += strspn(line, BLANKS);
	n = strcspn(line, ":" BLANKS);
	if (n != strlen(database) || strncmp(line, database, n) != 0 || !line[n])
		return false;
	line += n + strspn(line + n, ":" BLANKS);
	while (*line && *line != '[') {
		char *source = line, after;

		line += strcspn(line, "[" BLANKS);
		after = *line;
		*line = '\0';
		if (!strchr(source, ':')) /* no library is called so */
			check_source(source, function, calls, local);
		*line = after;
		line += strspn(line, BLANKS);
		if (*line == '[') {
			line += strcspn(line, "]");
			line += *line == ']';
			line += strspn(line, BLANKS);
		}
	}
	return true;
}

static void check(const char *calls, bool local)
{
	static const struct {
		const char *name, *function;
	} databases[] = {
		{ "passwd", "getpwnam_r" },
		{ "group", "initgroups_dyn" },
		{ "initgroups", "initgroups_dyn" },
	};

	for (size_t i = 0; i < 3; i++) {
		char copy[INPUT_MAX], *line = copy, *newline;
		size_t size = fate == MISSING ? 0 : (size_t)(conf.end - conf.data);
		bool found = false;

		memcpy(copy, conf.data, size);
		for (; (newline = memchr(line, '\n', (size_t)(copy + size - line))); line = newline + 1) {
			*newline = '\0';
			found |= check_line(line, databases[i].name, databases[i].function, calls, local);
		}
		if (!found && i < 2) /* libc's default */
			check_source("files", databases[i].function, calls, local);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct account account = { 0 };
	struct answer a;
	char *calls;
	size_t calls_size;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	fate = data[0] % FATES;
	conf.data = conf.rest = data + 1;
	conf.end = data + size;
	errno = 0;
	if (!nsswitch_read(&account.sources)) {
		MUST(errno);
		return 0;
	}
	MUST(fate != UNREADABLE && fate != BREAKS_OFF);
	asked = open_memstream(&calls, &calls_size);
	MUST(asked && fputc('\n', asked) == '\n');
	account_read(&account, "alice");
	child_ask(&account, KIND_NEWNET, "net", &a);
	account_free(&account);
	MUST(fclose(asked) == 0);
	if (a.membership == UNKNOWN) {
		MUST(*a.problem);
	} else {
		MUST(a.membership == NO_GROUP);
		check(calls, nsswitch_all_local(&account.sources));
	}
	free(calls);
	return 0;
}
