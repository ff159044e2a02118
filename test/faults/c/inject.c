/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inject - logs users in through a PAM module, and disturbs one system call of each login
 *
 * usage: inject [MODULE...]	loads the modules
 *
 * Reads requests from stdin, a line of ten words each:
 *
 *	RESET MODULE USER ARGUMENT ACTION ROLE NUMBER NTH VALUE TIMES
 *
 *	RESET		what to remove first: "NAME", the network namespace of this name;
 *			"*", /run/netns and /run/libpam-net altogether; "-", nothing
 *	MODULE		its path
 *	ARGUMENT	one for the module, or "-"
 *	ACTION		what is done to the NTH call of NUMBER in ROLE, counted from 1:
 *			fail	it is not made, and gives the error VALUE; 0: success
 *			kill	the process is killed before it
 *			delay	it is made VALUE milliseconds later
 *			stall	it is never made, the thread stands still until it is killed
 *			none	nothing is, and there is no tracing
 *			record	nothing is, and all calls are listed
 *	ROLE		"parent", which calls the module, or "child", with all its threads
 *	TIMES		how many calls, from the NTH on, fail; 0: all
 *
 * and writes a line of JSON for each, see struct reply in ../inject_test.go. Runs in a sandbox:
 * the login takes place in the namespaces that it finds itself in.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define NUMBERS 512	   /* more than there are system calls */
#define TICK_MS 5	   /* how often the clock is looked at */
#define PATIENCE_MS 30000  /* for a login */
#define ORPHAN_MS 3000	   /* for the end of a login process's child after its own */
#define TEXT_MAX 120

enum action { NONE, RECORD, FAIL, KILL, DELAY, STALL };
enum role { PARENT, CHILD, ROLES };

static const char *const action_names[] = { "none", "record", "fail", "kill", "delay", "stall" };
static const char *const role_names[] = { "parent", "child" };

struct request {
	char reset[256], module[256], user[256], argument[256];
	enum action action;
	enum role role;
	int number;
	unsigned int nth, value, times;
};

static struct run {
	struct request request;
	pid_t host, child;
	int host_status, child_status; /* as waitpid(2) has them, -1: there was none */
	long long start, end;	       /* of the module, in ms; end 0: not over yet */
	long long host_ended;	       /* when; 0: not yet */
	bool stray;		       /* a descendant has outlived the login process */
	unsigned int count[ROLES][NUMBERS];
	bool hit;	    /* the call has come */
	pid_t held;	    /* the thread that is delayed */
	long long due;	    /* and until when */
	pid_t faked;	    /* the thread whose call is made, and then said to have failed */
	struct json points; /* what RECORD lists */
	struct json target; /* what was hit */
} run = { .points = JSON_BUFFER(256 << 10), .target = JSON_BUFFER(4096) };

static struct json report = JSON_BUFFER(256 << 10);

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* --- changing a system call; errors mean that the thread has been killed meanwhile --- */

#if defined(__x86_64__)
#define RESULT rax
#elif defined(__aarch64__)
#define RESULT regs[0]
#endif

static void set_result(pid_t tid, long result)
{
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov) < 0)
		return;
	regs.RESULT = (unsigned long)result;
	ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov);
}

static void skip_call(pid_t tid)
{
#if defined(__x86_64__)
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.orig_rax), -1L);
#elif defined(__aarch64__)
	int none = -1;
	struct iovec iov = { &none, sizeof(none) };

	ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &iov);
#endif
}

/* --- telling what was hit --- */

/* Writes the argument if it seems to be the address of a text. */
static void text_argument(struct json *j, pid_t tid, uint64_t address)
{
	char text[TEXT_MAX] = "";
	struct iovec to = { text, sizeof(text) - 1 }, from = { (void *)address, sizeof(text) - 1 };
	size_t n = 0;

	if (process_vm_readv(tid, &to, 1, &from, 1, 0) < 0)
		return;
	while (text[n] >= ' ' && text[n] <= '~')
		n++;
	if (n > 0 && text[n] == '\0')
		json_string(j, NULL, text);
}

static void describe(pid_t tid, const struct __ptrace_syscall_info *info)
{
	struct json *j = &run.target;

	json_open(j, "arguments", '[');
	for (size_t i = 0; i < 6; i++)
		json_uint(j, NULL, info->seccomp.args[i]);
	json_close(j, ']');
	json_open(j, "texts", '[');
	for (size_t i = 0; i < 6; i++)
		text_argument(j, tid, info->seccomp.args[i]);
	json_close(j, ']');
}

/* --- tracing --- */

static void record(enum role role, int number)
{
	json_open(&run.points, NULL, '{');
	json_string(&run.points, "role", role_names[role]);
	json_int(&run.points, "number", number);
	json_close(&run.points, '}');
}

/*
 * A system call that is not made at all is no model of a failed close: Linux has closed the
 * descriptor whatever error close(2) gives.
 */
static bool is_made_all_the_same(int number)
{
	return number == SYS_close;
}

/* Does to a call what is wanted. Returns how ptrace(2) is to go on, or 0 for not at all. */
static int disturb(pid_t tid)
{
	switch (run.request.action) {
	case FAIL:
		if (is_made_all_the_same(run.request.number)) {
			run.faked = tid;
			return PTRACE_SYSCALL;
		}
		skip_call(tid);
		set_result(tid, -(long)run.request.value);
		return PTRACE_CONT;
	case KILL:
		syscall(SYS_tkill, tid, SIGKILL);
		return 0;
	case DELAY:
		run.held = tid;
		run.due = now_ms() + run.request.value;
		return 0;
	case STALL:
		return 0;
	default:
		return PTRACE_CONT;
	}
}

static int on_call(pid_t tid)
{
	const struct request *r = &run.request;
	enum role role = tid == run.host ? PARENT : CHILD;
	struct __ptrace_syscall_info info;
	unsigned int n;
	int number;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP || info.seccomp.nr >= NUMBERS)
		return PTRACE_CONT;
	number = (int)info.seccomp.nr;
	if (number == SYS_getpgid && info.seccomp.args[0] == MODULE_HAS_RETURNED)
		run.end = now_ms();
	if (run.end)
		return PTRACE_CONT;
	n = ++run.count[role][number];
	if (r->action == RECORD)
		record(role, number);
	if (role != r->role || number != r->number || n < r->nth ||
	    (r->times && n >= r->nth + r->times))
		return PTRACE_CONT;
	if (!run.hit)
		describe(tid, &info);
	run.hit = true;
	return disturb(tid);
}

static void on_stop(pid_t tid, int status)
{
	int how = PTRACE_CONT, event = status >> 16;
	long signal = event ? 0 : WSTOPSIG(status);
	unsigned long child;

	if (event == PTRACE_EVENT_SECCOMP) {
		how = on_call(tid);
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
		   event == PTRACE_EVENT_CLONE) {
		if (!run.child && ptrace(PTRACE_GETEVENTMSG, tid, 0, &child) == 0)
			run.child = (pid_t)child;
	} else if (signal == (SIGTRAP | 0x80)) { /* the end of a call, after PTRACE_SYSCALL */
		signal = 0;
		if (run.faked == tid)
			set_result(tid, -(long)run.request.value);
		run.faked = 0;
	}
	if (how)
		ptrace(how, tid, 0, signal);
}

/* Ends what is left of a login; waitpid tells when. */
static void kill_children(void)
{
	FILE *list = fopen("/proc/thread-self/children", "re");
	int pid;

	while (list && fscanf(list, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (list)
		fclose(list);
}

static void on_tick(void)
{
	long long now = now_ms();

	if (run.held && now >= run.due) {
		ptrace(PTRACE_CONT, run.held, 0, 0);
		run.held = 0;
	}
	run.stray |= run.host_ended && now > run.host_ended + ORPHAN_MS;
	if (run.stray || now > run.start + PATIENCE_MS)
		kill_children();
}

/* Serves the login until it is over and nothing is left of it. */
static void trace(void)
{
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno == ECHILD)
			break;
		if (tid < 0) {
			on_tick();
		} else if (WIFSTOPPED(status)) {
			on_stop(tid, status);
		} else if (tid == run.host) {
			run.host_status = status;
			run.host_ended = now_ms();
		} else if (tid == run.child) {
			run.child_status = status;
		}
	}
}

/* --- a login --- */

static int traced_number(const struct request *r)
{
	return r->action == NONE ? TRACE_NONE : r->action == RECORD ? TRACE_ALL : r->number;
}

static _Noreturn void be_host(const struct request *r, int ready, int result)
{
	const struct login l = {
		.module = r->module,
		.user = r->user,
		.argument = strcmp(r->argument, "-") == 0 ? NULL : (char *)r->argument,
	};
	char byte;

	if (read(ready, &byte, 1) != 0)
		_exit(EXIT_FAILURE);
	close(ready);
	if (!host_login(&l, traced_number(r), &report)) {
		warn("a login of %s", r->user);
		_exit(EXIT_FAILURE);
	}
	if (write(result, report.text, report.len) != (ssize_t)report.len)
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

/* Logs in, and leaves the login process's report in the file result. */
static void login(int result)
{
	const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
			     PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
	const struct itimerval tick = { { 0, TICK_MS * 1000 }, { 0, TICK_MS * 1000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	int ready[2];

	if (ftruncate(result, 0) < 0 || lseek(result, 0, SEEK_SET) < 0 ||
	    pipe2(ready, O_CLOEXEC) < 0)
		err(EXIT_FAILURE, "prepare a login");
	run.start = now_ms();
	run.host = fork();
	if (run.host < 0)
		err(EXIT_FAILURE, "fork");
	if (run.host == 0) {
		close(ready[1]);
		be_host(&run.request, ready[0], result);
	}
	if (run.request.action != NONE && ptrace(PTRACE_SEIZE, run.host, 0, options) < 0)
		err(EXIT_FAILURE, "ptrace");
	close(ready[0]);
	close(ready[1]);
	setitimer(ITIMER_REAL, &tick, NULL);
	trace();
	setitimer(ITIMER_REAL, &never, NULL);
}

static void answer(int result)
{
	static char text[512 << 10];
	ssize_t n = pread(result, text, sizeof(text) - 1, 0);

	if (n < 0 || run.points.full || run.target.full)
		err(EXIT_FAILURE, "answer");
	text[n] = '\0';
	printf("{\"host\":%d,\"child\":%d,\"stray\":%s,\"ms\":%lld,\"hit\":%s,"
	       "\"target\":{%s},\"points\":[%s],\"report\":%s}\n",
	       run.host_status, run.child_status, run.stray ? "true" : "false",
	       (run.end ? run.end : now_ms()) - run.start,
	       run.hit ? "true" : "false", run.target.text, run.points.text, n ? text : "null");
	if (fflush(stdout) == EOF)
		err(EXIT_FAILURE, "answer");
}

/* --- requests --- */

static void remove_handle(int dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		err(EXIT_FAILURE, "remove %s", path);
}

static void remove_all(DIR *handles)
{
	struct dirent *entry;

	while ((entry = readdir(handles))) {
		if (entry->d_name[0] != '.')
			remove_handle(dirfd(handles), entry->d_name);
	}
	while (umount2("/run/netns", MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (rmdir("/run/netns") < 0 || (rmdir("/run/libpam-net") < 0 && errno != ENOENT))
		err(EXIT_FAILURE, "remove /run/netns and /run/libpam-net");
}

static void reset(const char *what)
{
	DIR *handles;

	if (strcmp(what, "-") == 0)
		return;
	handles = opendir("/run/netns");
	if (!handles)
		return;
	if (strcmp(what, "*") == 0)
		remove_all(handles);
	else
		remove_handle(dirfd(handles), what);
	closedir(handles);
}

static bool find(const char *name, const char *const names[], size_t n, unsigned int *found)
{
	for (*found = 0; *found < n; (*found)++) {
		if (strcmp(name, names[*found]) == 0)
			return true;
	}
	return false;
}

static bool parse(const char *line, struct request *r)
{
	char action[16], role[16];
	unsigned int a, b;

	if (sscanf(line, "%255s %255s %255s %255s %15s %15s %d %u %u %u", r->reset, r->module,
		   r->user, r->argument, action, role, &r->number, &r->nth, &r->value,
		   &r->times) != 10 ||
	    !find(action, action_names, STALL + 1, &a) || !find(role, role_names, ROLES, &b))
		return false;
	r->action = (enum action)a;
	r->role = (enum role)b;
	return true;
}

static void clear(struct json *j)
{
	*j = (struct json){ .text = j->text, .size = j->size };
	j->text[0] = '\0';
}

static void on_alarm(int signal)
{
	(void)signal; /* it is here to end waitpid with EINTR */
}

int main(int argc, char **argv)
{
	const struct sigaction alarmed = { .sa_handler = on_alarm };
	int result = memfd_create("report", MFD_CLOEXEC);
	char line[2048];

	if (result < 0 || sigaction(SIGALRM, &alarmed, NULL) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		err(EXIT_FAILURE, "start");
	for (int i = 1; i < argc; i++) {
		if (!dlopen(argv[i], RTLD_NOW))
			errx(EXIT_FAILURE, "%s", dlerror());
	}
	while (fgets(line, sizeof(line), stdin)) {
		run = (struct run){ .child_status = -1,
				    .points = run.points,
				    .target = run.target };
		clear(&run.points);
		clear(&run.target);
		if (!parse(line, &run.request))
			errx(EXIT_FAILURE, "not a request: %s", line);
		reset(run.request.reset);
		login(result);
		answer(result);
	}
	return EXIT_SUCCESS;
}
