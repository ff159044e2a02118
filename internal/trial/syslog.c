/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replaces syslog(3) in this program. The dynamic linker prefers a program's own functions
 * to libc's, so that libpam and the modules call these. The lines are kept for the report
 * on the login. No log has a line of a login that was only tried.
 *
 * <syslog.h> is not included: its inline functions would be in the way.
 */
#define _GNU_SOURCE
#include "syslog.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINES_MAX 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line lines[LINES_MAX];
static size_t count;

static void keep(int priority, const char *format, va_list args)
{
	char text[2048];

	vsnprintf(text, sizeof(text), format, args);
	pthread_mutex_lock(&lock);
	if (count < LINES_MAX) {
		lines[count].text = strdup(text);
		lines[count].priority = priority;
		count += lines[count].text != NULL;
	}
	pthread_mutex_unlock(&lock);
}

const struct line *logged(size_t n)
{
	const struct line *line;

	pthread_mutex_lock(&lock);
	line = n < count ? &lines[n] : NULL;
	pthread_mutex_unlock(&lock);
	return line;
}

void vsyslog(int priority, const char *format, va_list args)
{
	keep(priority, format, args);
}

void syslog(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	keep(priority, format, args);
	va_end(args);
}

/* Modules that were built with _FORTIFY_SOURCE call these two. */
void __vsyslog_chk(int priority, int flag, const char *format, va_list args)
{
	(void)flag;
	keep(priority, format, args);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	keep(priority, format, args);
	va_end(args);
}
