/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inject - logs a user in through a PAM module, or runs a program, and disturbs one system call
 *
 * usage: inject MODULE USER
 *        inject hold FILE
 *
 * The second form never ends: there always is a stopped process that has a lock on all of FILE.
 * Another takes the place of one that is killed.
 *
 * The first form reads requests from stdin, a line of words each:
 *
 *	RESET ACTION ROLE NUMBER NTH VALUE TIMES [ARGUMENT...]
 *
 *	RESET		what to remove first: "NAME", the network namespace of this name;
 *			"*", /run/netns and /run/libpam-net altogether; "-", nothing
 *	ACTION		what is done to the NTH call of NUMBER in ROLE, counted from 1:
 *			fail	it is not made, and gives the error VALUE; 0: success
 *			kill	the process is killed before it
 *			delay	it is made VALUE milliseconds later
 *			stall	it is never made, the thread stands still until it is killed
 *			none	nothing is, and there is no tracing
 *			record	nothing is, and all calls are listed
 *	ROLE		"parent", which calls the module, or executes the program; "child", the
 *			process that it makes; "holder", any that the child makes. Each with
 *			its threads, and the latter two only until they execute a program
 *	TIMES		how many calls, from the NTH on, fail; 0: all
 *	ARGUMENT	of the module; or, if the first begins with "/", a program to be run
 *			in its place, and its arguments
 *
 * and writes a line of JSON for each, see struct reply in ../inject_test.go. Runs in a sandbox:
 * the login takes place in the namespaces that it finds itself in.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
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
#define ORPHAN_MS 10000	   /* for the end of a login process's child after its own */
#define TEXT_MAX 120
#define TASKS 256	   /* more than there are threads in a login */
#define ARGUMENTS 16	   /* more than a module is given */

#define TRACE_OPTIONS                                                                              \
	(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |     \
	 PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

enum action { NONE, RECORD, FAIL, KILL, DELAY, STALL };
enum role { PARENT, CHILD, HOLDER, ROLES, NONE_OF_OURS = ROLES };

static const char *const action_names[] = { "none", "record", "fail", "kill", "delay", "stall" };
static const char *const role_names[] = { "parent", "child", "holder" };

struct request {
	char reset[256];
	enum action action;
	enum role role;
	int number;
	unsigned int nth, value, times;
	const char *arguments[ARGUMENTS + 1]; /* the last is NULL */
	int argument_count;
};

struct task {
	pid_t tid, process;
	enum role role;
};

static struct run {
	struct request request;
	pid_t host, child;
	int host_status, child_status; /* as waitpid(2) has them, -1: there was none */
	long long start, end;	       /* of the module, in ms; end 0: not seen */
	long long host_ended;	       /* when; 0: not yet */
	bool stray;		       /* a descendant has outlived the login process */
	struct task tasks[TASKS];
	size_t task_count;
	unsigned int count[ROLES][NUMBERS];
	bool hit;	    /* the call has come */
	pid_t held;	    /* the thread that is delayed */
	long long due;	    /* and until when */
	pid_t faked;	    /* the thread whose call is made, and then said to have failed */
	struct json points; /* what RECORD lists */
	struct json target; /* what was hit */
	struct json networks; /* what is in those that have a name, afterwards */
} run = {
	.points = JSON_BUFFER(256 << 10),
	.target = JSON_BUFFER(4096),
	.networks = JSON_BUFFER(4096),
};

/* What the login process has to say, shared with it. */
static struct json *report;

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

/* --- who is who --- */

static struct task *known(pid_t tid)
{
	for (size_t i = 0; i < run.task_count; i++) {
		if (run.tasks[i].tid == tid)
			return &run.tasks[i];
	}
	return NULL;
}

static void add_task(pid_t tid, pid_t process, enum role role)
{
	if (run.task_count < TASKS)
		run.tasks[run.task_count++] = (struct task){ tid, process, role };
}

/* The role of a process that one with the role maker has made. */
static enum role made_by(enum role maker)
{
	return maker == PARENT ? CHILD : maker == CHILD ? HOLDER : maker;
}

/*
 * Finds out what a new thread is. Whoever has made it must stand still meanwhile: a process whose
 * parent has ended has another one.
 */
static void meet(pid_t tid)
{
	char path[64], line[128];
	pid_t process = 0, parent = 0;
	struct task *relative;
	FILE *status;

	if (known(tid))
		return;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status)) {
		sscanf(line, "Tgid: %d", &process);
		sscanf(line, "PPid: %d", &parent);
	}
	if (status)
		fclose(status);
	if ((relative = known(process)))
		add_task(tid, process, relative->role);
	else if ((relative = known(parent)))
		add_task(tid, process, made_by(relative->role));
	else
		add_task(tid, process, NONE_OF_OURS); /* it has been killed already */
	if (!run.child && known(tid) && known(tid)->role == CHILD)
		run.child = process;
}

static enum role role_of(pid_t tid)
{
	const struct task *t = known(tid);

	return t ? t->role : NONE_OF_OURS;
}

/* The process has executed a program. */
static void part_with(pid_t process)
{
	for (size_t i = 0; i < run.task_count; i++) {
		if (run.tasks[i].process == process)
			run.tasks[i].role = NONE_OF_OURS;
	}
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

/* Whether calls of the role are waited for, or may still be. */
static bool is_of_interest(enum role role)
{
	const struct request *r = &run.request;

	return r->action == RECORD ? role < ROLES : role == r->role && !(run.hit && r->times == 1);
}

/*
 * Lets no calls of the thread stop any more, or lets them again. It is for speed: a kernel without
 * CONFIG_CHECKPOINT_RESTORE, or one that has put a filter on this process, does not do it.
 */
static void let_calls_stop(pid_t tid, bool stop)
{
	ptrace(PTRACE_SETOPTIONS, tid, 0, TRACE_OPTIONS | (stop ? 0 : PTRACE_O_SUSPEND_SECCOMP));
}

static int on_call(pid_t tid)
{
	const struct request *r = &run.request;
	enum role role = role_of(tid);
	struct __ptrace_syscall_info info;
	unsigned int n;
	int number;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP || info.seccomp.nr >= NUMBERS)
		return PTRACE_CONT;
	number = (int)info.seccomp.nr;
	if (number == SYS_getpgid && info.seccomp.args[0] == MODULE_HAS_RETURNED)
		run.end = now_ms();
	if (run.end || !is_of_interest(role)) {
		let_calls_stop(tid, false);
		return PTRACE_CONT;
	}
	n = ++run.count[role][number];
	if (r->action == RECORD)
		record(role, number);
	if (number != r->number || n < r->nth || (r->times && n >= r->nth + r->times))
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
	} else if (event == PTRACE_EVENT_STOP) {
		meet(tid); /* possibly before the stop of its maker */
		let_calls_stop(tid, is_of_interest(role_of(tid)));
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
		   event == PTRACE_EVENT_CLONE) {
		if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &child) == 0)
			meet((pid_t)child);
	} else if (event == PTRACE_EVENT_EXEC) {
		if (role_of(tid) != PARENT)
			part_with(tid);
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

static _Noreturn void be_host(struct request *r, int ready)
{
	char byte;

	if (read(ready, &byte, 1) != 0)
		_exit(EXIT_FAILURE);
	close(ready);
	if (r->argument_count && r->arguments[0][0] == '/')
		host_execute(r->arguments, traced_number(r));
	if (!host_login(r->argument_count, r->arguments, traced_number(r), report)) {
		warn("a login");
		_exit(EXIT_FAILURE);
	}
	_exit(EXIT_SUCCESS);
}

/* Logs in. Without a login process that has lived to tell, there is no report. */
static void login(void)
{
	const struct itimerval tick = { { 0, TICK_MS * 1000 }, { 0, TICK_MS * 1000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	int ready[2];

	if (pipe2(ready, O_CLOEXEC) < 0)
		err(EXIT_FAILURE, "pipe");
	run.start = now_ms();
	run.host = fork();
	if (run.host < 0)
		err(EXIT_FAILURE, "fork");
	if (run.host == 0) {
		close(ready[1]);
		be_host(&run.request, ready[0]);
	}
	add_task(run.host, run.host, PARENT);
	if (run.request.action != NONE && ptrace(PTRACE_SEIZE, run.host, 0, TRACE_OPTIONS) < 0)
		err(EXIT_FAILURE, "ptrace");
	close(ready[0]);
	close(ready[1]);
	setitimer(ITIMER_REAL, &tick, NULL);
	trace();
	setitimer(ITIMER_REAL, &never, NULL);
}

static void look_at_networks(struct json *j)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	DIR *handles = opendir("/run/netns");
	struct dirent *entry;

	while (handles && (entry = readdir(handles))) {
		int fd = openat(dirfd(handles), entry->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		if (setns(fd, CLONE_NEWNET) == 0) {
			interfaces(j, entry->d_name);
			if (setns(own, CLONE_NEWNET) < 0)
				err(EXIT_FAILURE, "return from network namespace %s", entry->d_name);
		}
		close(fd);
	}
	if (handles)
		closedir(handles);
	close(own);
}

static void answer(void)
{
	look_at_networks(&run.networks);
	if (run.points.full || run.target.full || run.networks.full)
		errx(EXIT_FAILURE, "the answer is too long");
	printf("{\"host\":%d,\"child\":%d,\"stray\":%s,\"ms\":%lld,\"hit\":%s,\"target\":{%s},"
	       "\"points\":[%s],\"networks\":{%s},\"report\":%s}\n",
	       run.host_status, run.child_status, run.stray ? "true" : "false",
	       (run.end ? run.end : run.host_ended) - run.start, run.hit ? "true" : "false",
	       run.target.text, run.points.text, run.networks.text,
	       run.host_status == 0 && *report->text ? report->text : "null");
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

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void remove_tree(const char *path)
{
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (nftw(path, remove_entry, 4, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		err(EXIT_FAILURE, "remove %s", path);
}

static void reset(const char *what)
{
	bool all = strcmp(what, "*") == 0;
	struct dirent *entry;
	DIR *handles;

	if (strcmp(what, "-") == 0)
		return;
	handles = opendir("/run/netns");
	while (handles && (entry = readdir(handles))) {
		if (all ? entry->d_name[0] != '.' : strcmp(entry->d_name, what) == 0)
			remove_handle(dirfd(handles), entry->d_name);
	}
	if (handles)
		closedir(handles);
	if (all) {
		remove_tree("/run/netns");
		remove_tree("/run/libpam-net");
	}
}

static bool find(const char *name, const char *const names[], size_t n, unsigned int *found)
{
	for (*found = 0; *found < n; (*found)++) {
		if (strcmp(name, names[*found]) == 0)
			return true;
	}
	return false;
}

/* The request keeps pointers into the line. */
static bool parse(char *line, struct request *r)
{
	char action[16], role[16], *rest, *word;
	unsigned int a, b;
	int end;

	if (sscanf(line, "%255s %15s %15s %d %u %u %u%n", r->reset, action, role, &r->number,
		   &r->nth, &r->value, &r->times, &end) != 7 ||
	    !find(action, action_names, STALL + 1, &a) || !find(role, role_names, ROLES, &b))
		return false;
	r->action = (enum action)a;
	r->role = (enum role)b;
	rest = line + end;
	while ((word = strsep(&rest, " \n"))) {
		if (*word && r->argument_count == ARGUMENTS)
			return false;
		if (*word)
			r->arguments[r->argument_count++] = word;
	}
	return true;
}

static void clear(struct json *j)
{
	*j = (struct json){ .text = j->text, .size = j->size };
	j->text[0] = '\0';
}

/* Returns a text that this process and its descendants can write. */
static struct json *shared_json(size_t size)
{
	struct json *j = mmap(NULL, sizeof(*j) + size, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (j == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	*j = (struct json){ .text = (char *)(j + 1), .size = size };
	return j;
}

static _Noreturn void hold(const char *path)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int status, fd;
	pid_t pid;

	do {
		pid = fork();
		if (pid == 0) {
			fd = open(path, O_RDWR | O_CLOEXEC);
			if (fd < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || fcntl(fd, F_SETLKW, &all) < 0)
				err(EXIT_FAILURE, "lock %s", path);
			raise(SIGSTOP);
			_exit(EXIT_FAILURE);
		}
	} while (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	err(EXIT_FAILURE, "hold %s", path);
}

static void on_alarm(int signal)
{
	(void)signal; /* it is here to end waitpid with EINTR */
}

int main(int argc, char **argv)
{
	const struct sigaction alarmed = { .sa_handler = on_alarm };
	char line[2048];

	if (argc != 3)
		errx(EXIT_FAILURE, "usage: inject MODULE USER; inject hold FILE");
	if (strcmp(argv[1], "hold") == 0)
		hold(argv[2]);
	report = shared_json(64 << 10);
	if (sigaction(SIGALRM, &alarmed, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
	    !host_start(argv[1], argv[2]))
		err(EXIT_FAILURE, "start with %s", argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		run = (struct run){ .child_status = -1,
				    .points = run.points,
				    .target = run.target,
				    .networks = run.networks };
		clear(&run.points);
		clear(&run.target);
		clear(&run.networks);
		clear(report);
		if (!parse(line, &run.request))
			errx(EXIT_FAILURE, "not a request: %s", line);
		reset(run.request.reset);
		login();
		answer();
	}
	return EXIT_SUCCESS;
}
