/*
 * pamhost - a login process for tests
 *
 * Opens and closes a PAM session the way sshd, su, cron or xrdp do, if wanted under harder conditions than theirs, and
 * reports what that did to the process: a snapshot before, one after, one in the end.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json.h"
#include "results.h"
#include "snapshot.h"

/* Out of the way: a descriptor that a module opens gets the number that it would get in a real host. */
#define REPORT_FD 100
#define EXTRA_FD 200

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

enum { OPENED = 0, REFUSED = 1, USAGE = 2 };

static const char usage_text[] =
	"usage: pamhost [options] SERVICE USER [-- COMMAND ARGS...]\n"
	"\n"
	"Opens a PAM session of SERVICE for USER, runs COMMAND in it as USER, closes it and reports.\n"
	"Exit status: 0 the session was opened, 1 it was refused, 2 usage or an option that could not be applied.\n"
	"\n"
	"  --report FILE           write the report there (else to descriptor 3 if open, else to stdout)\n"
	"  --bare                  no report, and no snapshots for it\n"
	"  --confdir DIR           service files are there, not in /etc/pam.d\n"
	"  --silent                pass PAM_SILENT\n"
	"  --rhost HOST            set PAM_RHOST\n"
	"  --twice                 open, close, open again\n"
	"  --as-root               run COMMAND with the credentials of pamhost\n"
	"  --ignore-refusal        run COMMAND even if pam_open_session fails, as some login services do\n"
	"  --hold                  with the session open write \"ready PID\" to stdout and wait for stdin to end\n"
	"\n"
	"The process as it is from the start:\n"
	"  --setenv NAME=VALUE     set an environment variable (repeatable)\n"
	"  --open N                open N descriptors, 200 and up, with various flags\n"
	"  --close-fds N,N...      close these descriptors\n"
	"  --block-all-signals     block every signal\n"
	"  --ignore-all-signals    ignore every signal, those too that libc uses itself\n"
	"  --seteuid-caller UID    real uid UID, effective and saved uid 0, not dumpable: a set-uid-root program\n"
	"  --threads N             N idle threads; everything else happens in a further one, not the main thread\n"
	"\n"
	"What happens to it between pam_start and pam_open_session, in this order:\n"
	"  --fork-between          the rest happens in a child process\n"
	"  --chroot DIR            change the root directory, and the working directory to it\n"
	"  --chdir DIR             change the working directory\n"
	"  --sigchld-ignore        ignore SIGCHLD\n"
	"  --sigchld-reap          handle SIGCHLD by reaping every child there is\n"
	"  --rlimit NAME=SOFT[:HARD]  set a resource limit, a number or \"unlimited\" (repeatable)\n"
	"  --drop-cap NAME         drop a capability, or the one of this number, from the effective, permitted and\n"
	"                          bounding sets of the thread (repeatable)\n";

static struct {
	const char *service;
	const char *user;
	char **command;		/* NULL: none */

	const char *report;
	bool bare;
	const char *confdir;
	int pam_flags;
	const char *rhost;
	bool twice;
	bool as_root;
	bool ignore_refusal;
	bool hold;

	int extra_fds;
	const char *close_fds;
	bool block_signals;
	bool ignore_signals;
	const char *real_uid;
	int threads;

	bool fork_between;
	const char *root;
	const char *cwd;
	bool sigchld_ignore;
	bool sigchld_reap;
	const char *rlimits[RLIM_NLIMITS];	/* "SOFT[:HARD]", NULL: leave it */
	uint64_t dropped_capabilities;
} opt;

static struct {
	bool known;
	uid_t uid;
	gid_t gid;
} account;

static int report_fd;
static struct json report = JSON_BUFFER(4 << 20), calls = JSON_BUFFER(4096), messages = JSON_BUFFER(1 << 20);

/* What the SIGCHLD handler reaped. An entry counts once its pid is set. */
static struct {
	pid_t pid;
	int status;
} reaped[256];
static size_t reaped_count;
static int reaping;	/* handlers at work */

static long number(const char *text, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 0 || n > max)
		errx(USAGE, "not a number from 0 to %ld: %s", max, text);
	return n;
}

static void require(bool done, const char *what)
{
	if (!done)
		err(USAGE, "%s", what);
}

/* --- the process from the start --- */

static void open_report(void)
{
	int fd;

	if (opt.report)
		fd = open(opt.report, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	else if (fcntl(3, F_GETFD) >= 0)
		fd = 3;
	else
		fd = dup(STDOUT_FILENO);
	report_fd = fcntl(fd, F_DUPFD_CLOEXEC, REPORT_FD);
	require(report_fd >= 0, "report");
	close(fd);
}

static void open_extra_fds(void)
{
	static const int flags[] = {
		O_RDONLY, O_RDONLY | O_CLOEXEC, O_WRONLY | O_APPEND, O_RDWR | O_NONBLOCK | O_CLOEXEC, O_PATH,
	};
	int i, fd;

	for (i = 0; i < opt.extra_fds; i++) {
		int flag = flags[(size_t)i % ARRAY_SIZE(flags)];

		fd = open("/dev/null", flag);
		require(fd >= 0 && dup3(fd, EXTRA_FD + i, flag & O_CLOEXEC) >= 0, "open");
		close(fd);
	}
}

static void close_fds(void)
{
	char *list = strdup(opt.close_fds), *rest = list, *fd;

	require(list, "strdup");
	while ((fd = strsep(&rest, ",")))
		close((int)number(fd, INT_MAX));
	free(list);
}

static void ignore_signals(void)
{
	static const uintptr_t ignore[8] = { (uintptr_t)SIG_IGN }; /* the kernel's struct sigaction on x86 and ARM */
	int signal;

	for (signal = 1; signal < NSIG; signal++)
		syscall(SYS_rt_sigaction, signal, ignore, NULL, NSIG / 8);
}

static void set_up(void)
{
	sigset_t all;

	if (opt.extra_fds)
		open_extra_fds();
	if (opt.close_fds)
		close_fds();
	if (opt.block_signals) {
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
	}
	if (opt.ignore_signals)
		ignore_signals();
	if (opt.real_uid) {
		require(setresuid((uid_t)number(opt.real_uid, UINT_MAX), 0, 0) == 0, "setresuid");
		/* As execve() leaves it when it honours a set-uid bit; changing the real uid does not. */
		require(prctl(PR_SET_DUMPABLE, 0) == 0, "PR_SET_DUMPABLE");
	}
}

/* --- between pam_start and pam_open_session --- */

static void reap(int signal)
{
	int saved = errno, status;
	size_t i;
	pid_t pid;

	(void)signal;
	/* Handlers may run in several threads at once, and wait_for() in another. */
	__atomic_add_fetch(&reaping, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&reaped_count, __ATOMIC_SEQ_CST) < ARRAY_SIZE(reaped)
	       && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
		i = __atomic_fetch_add(&reaped_count, 1, __ATOMIC_SEQ_CST);
		if (i < ARRAY_SIZE(reaped)) {
			reaped[i].status = status;
			__atomic_store_n(&reaped[i].pid, pid, __ATOMIC_SEQ_CST);
		}
	}
	__atomic_sub_fetch(&reaping, 1, __ATOMIC_SEQ_CST);
	errno = saved;
}

/* Waits for the child's end. Returns false if nobody can tell its status. */
static bool wait_for(pid_t pid, int *status)
{
	siginfo_t info;
	size_t i;

	/* Waiting without reaping leaves the first go to a handler. */
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	if (waitpid(pid, status, 0) == pid)
		return true;
	while (__atomic_load_n(&reaping, __ATOMIC_SEQ_CST))
		sched_yield();
	for (i = 0; i < ARRAY_SIZE(reaped); i++)
		if (reaped[i].pid == pid) {
			*status = reaped[i].status;
			return true;
		}
	return false;
}

/* Returns in the child only: the parent waits for it, and ends as it does. */
static void carry_on_in_child(void)
{
	pid_t pid = fork();
	int status;

	require(pid >= 0, "fork");
	if (pid == 0)
		return;
	require(wait_for(pid, &status), "waitpid");
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static rlim_t rlimit_value(const char *text)
{
	return strcmp(text, "unlimited") == 0 ? RLIM_INFINITY : (rlim_t)number(text, LONG_MAX);
}

static void limit_resource(int resource, const char *value)
{
	char *soft = strdup(value), *hard = soft;
	struct rlimit limit;

	require(soft && getrlimit(resource, &limit) == 0, "getrlimit");
	strsep(&hard, ":");
	limit.rlim_cur = rlimit_value(soft);
	if (hard)
		limit.rlim_max = rlimit_value(hard);
	require(setrlimit(resource, &limit) == 0, "setrlimit");
	free(soft);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];
	unsigned long capability;
	size_t i;

	/* The bounding set first: dropping from it takes CAP_SETPCAP, which may be among those to go. */
	for (capability = 0; capability < 64; capability++)
		if (opt.dropped_capabilities >> capability & 1)
			require(prctl(PR_CAPBSET_DROP, capability) == 0, "PR_CAPBSET_DROP");
	require(syscall(SYS_capget, &header, half) == 0, "capget");
	for (i = 0; i < ARRAY_SIZE(half); i++) {
		half[i].effective &= (uint32_t)~(opt.dropped_capabilities >> (32 * i));
		half[i].permitted &= (uint32_t)~(opt.dropped_capabilities >> (32 * i));
	}
	require(syscall(SYS_capset, &header, half) == 0, "capset");
}

/* Fork before everything that is for the session's process alone; drop the capabilities after everything that needs them. */
static void harden(void)
{
	struct sigaction action = { .sa_flags = SA_RESTART };
	int resource;

	if (opt.fork_between)
		carry_on_in_child();
	if (opt.root)
		require(chroot(opt.root) == 0 && chdir("/") == 0, "chroot");
	if (opt.cwd)
		require(chdir(opt.cwd) == 0, "chdir");
	action.sa_handler = opt.sigchld_ignore ? SIG_IGN : reap;
	if (opt.sigchld_ignore || opt.sigchld_reap)
		sigaction(SIGCHLD, &action, NULL);
	for (resource = 0; resource < (int)RLIM_NLIMITS; resource++)
		if (opt.rlimits[resource])
			limit_resource(resource, opt.rlimits[resource]);
	if (opt.dropped_capabilities)
		drop_capabilities();
}

/* --- the session --- */

static int converse(int count, const struct pam_message **message, struct pam_response **response, void *data)
{
	int i;

	(void)data;
	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	for (i = 0; i < count; i++) {
		/* Nobody is there to answer a prompt. */
		if (message[i]->msg_style != PAM_ERROR_MSG && message[i]->msg_style != PAM_TEXT_INFO)
			return PAM_CONV_ERR;
		json_open(&messages, NULL, '{');
		json_string(&messages, "style", message[i]->msg_style == PAM_ERROR_MSG ? "PAM_ERROR_MSG" : "PAM_TEXT_INFO");
		json_string(&messages, "text", message[i]->msg);
		json_close(&messages, '}');
	}
	*response = calloc((size_t)count, sizeof(**response));
	return *response ? PAM_SUCCESS : PAM_BUF_ERR;
}

/* Reports the result of a call, and returns it. */
static int called(const char *function, int result)
{
	json_open(&calls, NULL, '{');
	json_string(&calls, "call", function);
	json_string(&calls, "result", result_name(result));
	json_int(&calls, "number", result);
	json_close(&calls, '}');
	return result;
}

static bool become_user(void)
{
	errno = ENOENT;
	return account.known && setgid(account.gid) == 0 && initgroups(opt.user, account.gid) == 0
		&& setuid(account.uid) == 0;
}

static bool sigchld_pending(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGCHLD);
}

static void run_command(void)
{
	static const struct timespec now = { 0 };
	bool pending = sigchld_pending(), known;
	sigset_t sigchld;
	int status = 0;
	pid_t pid;

	pid = fork();
	require(pid >= 0, "fork");
	if (pid == 0) {
		if (!opt.as_root && !become_user()) {
			warn("become user %s", opt.user);
			_exit(126);
		}
		execvp(opt.command[0], opt.command);
		warn("%s", opt.command[0]);
		_exit(127);
	}
	known = wait_for(pid, &status);

	/* A SIGCHLD left pending by our own child is no change that a module made. */
	sigemptyset(&sigchld);
	sigaddset(&sigchld, SIGCHLD);
	if (!pending && sigchld_pending())
		sigtimedwait(&sigchld, NULL, &now);

	json_open(&report, "command", '{');
	json_int(&report, "pid", pid);
	json_int(&report, "exit", known && WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	json_int(&report, "signal", known && WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	json_close(&report, '}');
}

static void hold(void)
{
	ssize_t n;
	char byte;

	dprintf(STDOUT_FILENO, "ready %d\n", getpid());
	do
		n = read(STDIN_FILENO, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
}

static void look(const char *when)
{
	if (!opt.bare)
		snapshot(&report, when);
}

static void write_report(void)
{
	static const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	size_t i, done;
	ssize_t n;

	json_copy(&report, "calls", &calls);
	json_copy(&report, "messages", &messages);
	json_open(&report, "reaped", '[');
	for (i = 0; i < ARRAY_SIZE(reaped) && reaped[i].pid; i++)
		json_int(&report, NULL, reaped[i].pid);
	json_close(&report, ']');
	json_close(&report, '}');
	if (report.full)
		errx(USAGE, "the report is too long");

	/* A limit on the size of files was meant for the module, not for this one. */
	setrlimit(RLIMIT_FSIZE, &unlimited);
	for (done = 0; done < report.len; done += (size_t)n) {
		n = write(report_fd, report.text + done, report.len - done);
		require(n > 0, "write report");
	}
}

/* Returns the exit status. */
static int session(void)
{
	const struct pam_conv conversation = { .conv = converse };
	pam_handle_t *pamh = NULL;
	int result;
	bool opened;

	json_open(&report, NULL, '{');
	json_string(&report, "service", opt.service);
	json_string(&report, "user", opt.user);
	json_open(&calls, NULL, '[');
	json_open(&messages, NULL, '[');

	look("start");
	result = called("pam_start", pam_start_confdir(opt.service, opt.user, &conversation, opt.confdir, &pamh));
	if (result == PAM_SUCCESS && opt.rhost)
		result = called("pam_set_item", pam_set_item(pamh, PAM_RHOST, opt.rhost));
	if (result == PAM_SUCCESS) {
		harden();
		if (!opt.bare) {
			json_prefault(&calls);
			json_prefault(&messages);
		}
		look("before");
		result = called("pam_open_session", pam_open_session(pamh, opt.pam_flags));
		look("after");
	}
	if (result == PAM_SUCCESS && opt.twice) {
		called("pam_close_session", pam_close_session(pamh, opt.pam_flags));
		result = called("pam_open_session", pam_open_session(pamh, opt.pam_flags));
		look("again");
	}
	opened = result == PAM_SUCCESS;
	if (opened || opt.ignore_refusal) {
		if (opt.command)
			run_command();
		if (opt.hold)
			hold();
		result = called("pam_close_session", pam_close_session(pamh, opt.pam_flags));
	}
	if (pamh)
		called("pam_end", pam_end(pamh, result));
	look("end");

	json_int(&report, "pid", getpid());
	json_close(&calls, ']');
	json_close(&messages, ']');
	if (!opt.bare)
		write_report();
	return opened ? OPENED : REFUSED;
}

/* --- threads --- */

static void *idle(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *session_in_thread(void *unused)
{
	(void)unused;
	/* By itself, not by its creator: before the first snapshot. */
	pthread_setname_np(pthread_self(), "session");
	exit(session());
}

static pthread_t start_thread(void *(*run)(void *), size_t stack_size)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, stack_size);
	errno = pthread_create(&thread, &attributes, run, NULL);
	require(errno == 0, "pthread_create");
	pthread_attr_destroy(&attributes);
	return thread;
}

/* --- options --- */

static const char *const capability_names[] = {
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
};

static uint64_t capability(const char *name)
{
	const char *bare = strncasecmp(name, "cap_", 4) == 0 ? name + 4 : name;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(capability_names); i++)
		if (strcasecmp(bare, capability_names[i]) == 0)
			return UINT64_C(1) << i;
	return UINT64_C(1) << number(name, 63);
}

static void parse_rlimit(const char *argument)
{
	const char *equals = strchr(argument, '=');
	size_t len = equals ? (size_t)(equals - argument) : 0;
	size_t i;

	for (i = 0; i < RLIM_NLIMITS; i++)
		if (equals && strlen(rlimit_names[i]) == len && strncasecmp(argument, rlimit_names[i], len) == 0) {
			opt.rlimits[i] = equals + 1;
			return;
		}
	errx(USAGE, "not NAME=SOFT[:HARD]: %s", argument);
}

static void parse_setenv(char *argument)
{
	char *value = argument;
	char *name = strsep(&value, "=");

	if (!value)
		errx(USAGE, "not NAME=VALUE: %s", argument);
	require(setenv(name, value, true) == 0, "setenv");
}

__attribute__((noreturn))
static void usage(void)
{
	fputs(usage_text, stderr);
	exit(USAGE);
}

static void parse(int argc, char **argv)
{
	enum {
		REPORT = 1, BARE, CONFDIR, SILENT, RHOST, TWICE, AS_ROOT, IGNORE_REFUSAL, HOLD, SETENV, OPEN, CLOSE_FDS, BLOCK_ALL_SIGNALS,
		IGNORE_ALL_SIGNALS, SETEUID_CALLER, THREADS, FORK_BETWEEN, CHROOT, CHDIR, SIGCHLD_IGNORE, SIGCHLD_REAP, RLIMIT, DROP_CAP,
	};
	static const struct option options[] = {
		{ "report", required_argument, NULL, REPORT },
		{ "bare", no_argument, NULL, BARE },
		{ "confdir", required_argument, NULL, CONFDIR },
		{ "silent", no_argument, NULL, SILENT },
		{ "rhost", required_argument, NULL, RHOST },
		{ "twice", no_argument, NULL, TWICE },
		{ "as-root", no_argument, NULL, AS_ROOT },
		{ "ignore-refusal", no_argument, NULL, IGNORE_REFUSAL },
		{ "hold", no_argument, NULL, HOLD },
		{ "setenv", required_argument, NULL, SETENV },
		{ "open", required_argument, NULL, OPEN },
		{ "close-fds", required_argument, NULL, CLOSE_FDS },
		{ "block-all-signals", no_argument, NULL, BLOCK_ALL_SIGNALS },
		{ "ignore-all-signals", no_argument, NULL, IGNORE_ALL_SIGNALS },
		{ "seteuid-caller", required_argument, NULL, SETEUID_CALLER },
		{ "threads", required_argument, NULL, THREADS },
		{ "fork-between", no_argument, NULL, FORK_BETWEEN },
		{ "chroot", required_argument, NULL, CHROOT },
		{ "chdir", required_argument, NULL, CHDIR },
		{ "sigchld-ignore", no_argument, NULL, SIGCHLD_IGNORE },
		{ "sigchld-reap", no_argument, NULL, SIGCHLD_REAP },
		{ "rlimit", required_argument, NULL, RLIMIT },
		{ "drop-cap", required_argument, NULL, DROP_CAP },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (option) {
		case REPORT: opt.report = optarg; break;
		case BARE: opt.bare = true; break;
		case CONFDIR: opt.confdir = optarg; break;
		case SILENT: opt.pam_flags = PAM_SILENT; break;
		case RHOST: opt.rhost = optarg; break;
		case TWICE: opt.twice = true; break;
		case AS_ROOT: opt.as_root = true; break;
		case IGNORE_REFUSAL: opt.ignore_refusal = true; break;
		case HOLD: opt.hold = true; break;
		case SETENV: parse_setenv(optarg); break;
		case OPEN: opt.extra_fds = (int)number(optarg, INT_MAX - EXTRA_FD); break;
		case CLOSE_FDS: opt.close_fds = optarg; break;
		case BLOCK_ALL_SIGNALS: opt.block_signals = true; break;
		case IGNORE_ALL_SIGNALS: opt.ignore_signals = true; break;
		case SETEUID_CALLER: opt.real_uid = optarg; break;
		case THREADS: opt.threads = (int)number(optarg, INT_MAX); break;
		case FORK_BETWEEN: opt.fork_between = true; break;
		case CHROOT: opt.root = optarg; break;
		case CHDIR: opt.cwd = optarg; break;
		case SIGCHLD_IGNORE: opt.sigchld_ignore = true; break;
		case SIGCHLD_REAP: opt.sigchld_reap = true; break;
		case RLIMIT: parse_rlimit(optarg); break;
		case DROP_CAP: opt.dropped_capabilities |= capability(optarg); break;
		default: usage();
		}
	}
	if (argc - optind < 2)
		usage();
	opt.service = argv[optind];
	opt.user = argv[optind + 1];
	if (argc - optind == 2)
		return;
	if (strcmp(argv[optind + 2], "--") != 0 || argc - optind == 3)
		usage();
	opt.command = argv + optind + 3;
}

int main(int argc, char **argv)
{
	const struct passwd *found;
	int i;

	parse(argc, argv);
	if (!opt.bare)
		open_report();
	found = getpwnam(opt.user);
	if (found) {
		account.known = true;
		account.uid = found->pw_uid;
		account.gid = found->pw_gid;
	}
	set_up();
	if (opt.threads == 0)
		return session();
	for (i = 0; i < opt.threads; i++)
		pthread_setname_np(start_thread(idle, 64 << 10), "idle");
	start_thread(session_in_thread, 8 << 20);
	idle(NULL);
}
