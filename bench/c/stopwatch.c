/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stopwatch - runs programs in a sandbox, and times them
 *
 * Reads requests from stdin, a line of words with tabs between, and answers each with a line
 *
 *	STATUS NANOSECONDS TEXT
 *
 *	run PROGRAM ARGUMENT...		runs it to its end; TEXT is its output
 *	many N AT_ONCE PROGRAM ...	runs it N times, so many at once; STATUS is the worst, TEXT are
 *					the nanoseconds of each
 *	hold N PROGRAM ...		starts it N times, one after the other, each when the one before has
 *					written "ready"; TEXT are their PIDs
 *	release				ends the input of all that are held, and waits for them
 *
 * STATUS is the exit status, or 128 and the signal. The time is from before the program is started until it has
 * been waited for.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 64
#define MANY_MAX 4096
#define TEXT_MAX 4096

extern char **environ;

static pid_t held[MANY_MAX];
static size_t held_count;
static int leash = -1, collar = -1; /* the ends of a pipe: the second is the input of all that are held */

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int must(const char *what, int result)
{
	if (result < 0)
		err(1, "%s", what);
	return result;
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Starts a program with these as its input and output; both are close-on-exec here. */
static pid_t start(char **argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, out, 2);
	error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error)
		errx(1, "%s: %s", argv[0], strerror(error));
	return pid;
}

static void run(char **argv, int null)
{
	char text[TEXT_MAX], rest[TEXT_MAX];
	long long began = now();
	size_t length = 0;
	int out[2], status;
	ssize_t n;
	pid_t pid;

	must("pipe", pipe2(out, O_CLOEXEC));
	pid = start(argv, null, out[1]);
	close(out[1]);
	while ((n = read(out[0], rest, sizeof(rest))) > 0) {
		for (ssize_t i = 0; i < n && length < sizeof(text) - 1; i++)
			text[length++] = rest[i] == '\n' ? ' ' : rest[i];
	}
	text[length] = '\0';
	must("waitpid", waitpid(pid, &status, 0));
	printf("%d %lld %s\n", status_of(status), now() - began, text);
	close(out[0]);
}

static size_t number(const char *word)
{
	long n = word ? strtol(word, NULL, 10) : 0;

	if (n < 1 || n > MANY_MAX)
		errx(2, "not a number from 1 to %d", MANY_MAX);
	return (size_t)n;
}

static void many(size_t n, size_t at_once, char **argv, int null)
{
	static struct { pid_t pid; long long start, took; } runs[MANY_MAX];
	long long began = now(), wall;
	size_t started = 0;
	int worst = 0;

	for (size_t ended = 0; ended < n; ended++) {
		int status;
		pid_t pid;

		for (; started < n && started < ended + at_once; started++) {
			runs[started].start = now();
			runs[started].pid = start(argv, null, null);
		}
		pid = must("wait", wait(&status));
		for (size_t i = 0; i < started; i++) {
			if (runs[i].pid == pid)
				runs[i].took = now() - runs[i].start;
		}
		if (status_of(status) > worst)
			worst = status_of(status);
	}
	wall = now() - began;
	printf("%d %lld", worst, wall);
	for (size_t i = 0; i < n; i++)
		printf(" %lld", runs[i].took);
	puts("");
}

static bool says_ready(int out)
{
	char text[8] = "";
	size_t n = 0;

	while (n < sizeof(text) - 1 && read(out, text + n, 1) == 1 && text[n] != '\n')
		n++;
	return strcmp(text, "ready\n") == 0;
}

static void hold(size_t n, char **argv)
{
	long long began = now();
	bool ok = held_count + n <= MANY_MAX;
	size_t first = held_count;
	int ends[2];

	if (leash < 0) {
		must("pipe", pipe2(ends, O_CLOEXEC));
		collar = ends[0];
		leash = ends[1];
	}
	while (ok && held_count < first + n) {
		must("pipe", pipe2(ends, O_CLOEXEC));
		held[held_count++] = start(argv, collar, ends[1]);
		close(ends[1]);
		ok = says_ready(ends[0]);
		close(ends[0]);
	}
	printf("%d %lld", ok ? 0 : 1, now() - began);
	for (size_t i = first; i < held_count; i++)
		printf(" %d", held[i]);
	puts("");
}

static void release(void)
{
	long long began = now();
	int worst = 0;

	if (leash >= 0) {
		close(leash);
		close(collar);
	}
	leash = collar = -1;
	for (; held_count > 0; held_count--) {
		int status;

		must("waitpid", waitpid(held[held_count - 1], &status, 0));
		if (status_of(status) > worst)
			worst = status_of(status);
	}
	printf("%d %lld\n", worst, now() - began);
}

int main(void)
{
	int null = must("/dev/null", open("/dev/null", O_RDWR | O_CLOEXEC));
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		char *words[WORDS_MAX + 1] = { NULL }, *rest = line;
		size_t count = 0;

		line[strcspn(line, "\n")] = '\0';
		while (count < WORDS_MAX && (words[count] = strsep(&rest, "\t")))
			count++;
		if (count > 1 && strcmp(words[0], "run") == 0)
			run(words + 1, null);
		else if (count > 3 && strcmp(words[0], "many") == 0)
			many(number(words[1]), number(words[2]), words + 3, null);
		else if (count > 2 && strcmp(words[0], "hold") == 0)
			hold(number(words[1]), words + 2);
		else if (count == 1 && strcmp(words[0], "release") == 0)
			release();
		else
			errx(2, "not a request: %s", words[0]);
		fflush(stdout);
	}
	return 0;
}
