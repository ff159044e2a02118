// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import "strings"

// kind is a row of the table of findings. Its texts have placeholders, {file}, which a check fills in.
type kind struct {
	id       string
	severity Severity
	problem  string // what is wrong
	effect   string
	advice   string // what to do
	good     string // what is said where there is no finding of the kind; "" for nothing
}

// table has the kinds of findings, in their order in FINDINGS of pamnetctl(8), which a test makes from it.
// Several rows may have one ID.
var table []*kind

func row(id string, severity Severity, problem, effect, advice, good string) *kind {
	k := &kind{id, severity, problem, effect, advice, good}
	table = append(table, k)
	return k
}

// fill replaces the placeholders of a text: names and values alternate.
func fill(text string, values []string) string {
	pairs := make([]string, len(values))
	for i, value := range values {
		if pairs[i] = value; i%2 == 0 {
			pairs[i] = "{" + value + "}"
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

const (
	needsModule = "Every login that reaches a line of it is refused, root's included."
	hostNetwork = "Members get the host's network."
	reinstall   = "Install libpam-net again."
	edits       = "Correct the line, or remove it."
)

// Modules.
var (
	moduleDir = row("module-dir", Error, "pam_permit.so is in none of the usual directories.",
		"The directory of libpam's modules is unknown, and no module can be examined.",
		"Install libpam's own modules (package libpam-modules or pam).", "")
	moduleMissing = row("module-missing", Error, "{files} {are} not installed.",
		"A line that names a missing module refuses every user, root included.", reinstall, "All modules are installed.")
	moduleOwner = row("module-owner", Error, "{file} belongs to uid {uid} and has mode {mode}.",
		"Others than root can put their code into every login.", "Let root alone own and write it.", "Root alone can replace the modules.")
	moduleLoad = row("module-load", Error, "{files} {problem}.",
		needsModule, reinstall, "")
	moduleStart = row("module-start", Error, "{file} starts Go when it is loaded.",
		"Each login process gets Go's threads and signal handlers, and members are refused.", reinstall, "")
	moduleSymbols = row("module-symbols", Error, "{file} exports {symbols}, instead of {expected} alone.",
		"It can get in the way of other modules.", reinstall, "")
	moduleLogin = row("module-login", Error, "{file} {problem}.",
		"Logins through it are refused or crash, perhaps also those of root and of non-members.", reinstall,
		"A non-member's and a member's login through each module alone work.")
)

// The stacks of all modules.
var (
	pamLine = row("pam-line", Error, "libpam cannot parse a line: {problem}.",
		"Every login that reaches it is refused, root's included.", edits, "libpam can parse all stacks.")
	pamModule = row("pam-module", Error, "A line needs {file}, which does not exist.",
		"Every login that reaches it is refused, root's included.", "Install the module, or remove the line.", "")
)

// Groups and members.
var (
	nameService = row("name-service", Error, "The name service fails: {error}.",
		"In every service with the modules all non-members but root are refused, and members may be.",
		"Start the service behind the source, or remove the source from /etc/nsswitch.conf.", "Every source of nsswitch.conf answers.")
	nameListing = row("name-listing", Note, "{sources} of nsswitch.conf {do} not list all users and members.",
		"Findings name no members from there. Services are reported as if there were some.",
		"Ask for a single user with: pamnetctl explain USER", "")
	noGroup = row("no-group", Error, "None of the groups newnet, usernet, groupnet-NAME exists.",
		"Nobody is isolated: every login gets the host's network. "+
			"Members of newnet get a network of their own per session, of usernet one per user, of groupnet-NAME a shared one.",
		"Put a module into use.", "")
	noLines = row("no-lines", Warning, "No service has a line of the modules.",
		"Nobody is isolated: every login gets the host's network.", "Put a module into use: pamnetctl enable newnet|usernet|groupnet-NAME", "")
	noMembers = row("no-members", Warning, "The groups of the modules have no members.",
		"Nobody is isolated: every login gets the host's network.", "Add a user: pamnetctl enable {name} --user USER", "")
	groupMissing = row("group-missing", Warning, "Group {group} of {module} does not exist.",
		"It has no members, and each login logs a warning.", "Create the group, or correct group= of the lines: pamnetctl set {name} group=GROUP", "")
	groupMistaken = row("group-mistaken", Error, "{module} is for group {group}, which has no members, and no line is for {default}, which has some.",
		"These members get the host's network: {members}.", "Correct the group: pamnetctl set {name} group={name}", "")
	groupAdded = row("group-added", Warning, "{file} adds group {group} to the logins of {users}.",
		"The modules count the members that the name service knows. Others get the host's network.",
		"Make them members: usermod -aG {group} USER", "")
	groupEmpty = row("group-empty", Note, "Group {group} of {module} has no members.",
		"The lines isolate nobody.", "Add members, or remove the lines.", "")
	memberRoot = row("member-root", Warning, "{user} has uid 0 and is a member of {groups}.",
		"Root can leave any network namespace, so this isolates nothing, and it may cut root's own logins off from the host's network.",
		"Remove {user} from {groups}.", "Root is a non-member.")
	memberOfModules = row("member-of-two", Warning, "{user} is a member of {groups}.",
		"The later line decides, and the covers of the earlier one stay.",
		"Remove {user} from all of them but one.", "")
	memberOfGroups = row("member-of-two", Warning, "{user} is a member of {groups} and of another group of {module}.",
		"The group that getgrouplist(3) returns first decides, and each login logs a warning.",
		"Remove {user} from all of them but one.", "")
)

// Lines of the modules.
var (
	lineType = row("line-type", Error, "{module} is in a line of type {type}.",
		"The module has no part for it: everybody who reaches the line is refused, root included.", "Remove the line: pamnetctl doctor --fix", "The modules are in session lines alone.")
	lineIdle = row("line-type", Warning, "{module} is in a line of type {type}.",
		"The line does nothing, and each login that reaches it logs an error.", "Remove the line: pamnetctl doctor --fix", "")
	lineControl = row("line-control", Error, "{module} is {control}, not required.",
		"Members whose login it refuses get the host's network.", "Make the line required.", "No stack ignores a refusal.")
	lineIgnore = row("line-control", Error, "The control of {module} ({control}) turns PAM_IGNORE into a failure.",
		"Non-members are refused, root included.", "Make the line required.", "")
	lineAlone = row("line-alone", Error, "{module} is the only session module of service {service}.",
		"Non-members are refused, because libpam requires at least one module to return success.", "Add a line of pam_permit before it.", "")
	lineSkipped = row("line-skipped", Error, "{other} ({control}) skips {module}.",
		hostNetwork, "Move the line of {module} before that of {other}.", "libpam reaches all lines.")
	lineMaySkip = row("line-skipped", Warning, "{other} ({control}) can skip {module}.",
		hostNetwork, "Move the line of {module} before that of {other}.", "")
	lineEnds = row("line-ends-stack", Warning, "{module} is {control}: for members libpam skips the lines behind it.",
		"Members' sessions lack {skipped}.", "Make the line required.", "")
	lineOrder = row("line-order", Warning, "{other} comes behind {module}.",
		"{effect}", "Move the line of {module} behind that of {other}.", "")
	lineTwice = row("line-twice", Warning, "{module} is twice in one stack.",
		"Each login does the work twice. The later line decides, and the covers of the earlier one stay.", "Remove one of the lines.", "")
	lineArgument = row("line-argument", Warning, "{module} ignores an argument: {arguments}.",
		"The module logs an error and does without the argument.", "Correct the argument, or remove it.", "")
	lineDiffers = row("line-differs", Warning, "Not every line of {module} has {arguments}.",
		"{effect}", "Give all lines the same arguments: pamnetctl set {name} ARGUMENTS", "All lines of a module have the same arguments.")
	lineViewDiffers = row("line-differs", Note, "Not every line of {module} has {arguments}.",
		"{effect}", "Give all lines the same arguments: pamnetctl set {name} ARGUMENTS", "")
	lineSetup = row("line-setup", Error, "{module} cannot run its setup program: {error}.",
		"The first login to each network is refused.", "Let root alone own and write the program, and make it executable.", "")
	lineMask = row("line-mask", Error, "{module} cannot cover a path: {error}.",
		"Members are refused.", "Cover a directory that root alone can change.", "")
)

// Services.
var (
	serviceWithout = row("service-without-module", Error, "{services} {open} sessions without {modules}.",
		"These members get the host's network there: {members}.", "Add the missing lines {where}.", "Every service that users can reach has the lines.")
	otherWithout = row("service-without-module", Warning, "{services} {open} sessions without {modules}.",
		"These members get the host's network there: {members}.", "Add the missing lines {where}.", "")
	serviceMisnamed = row("service-misnamed", Warning, "No program asks for the service of {file}.",
		"Its lines are for no login. Those of {meant} are.", "Move the lines to {meant}, and remove {file}.", "")
	ignoresRefusal = row("service-ignores-refusal", Error, "{service} opens sessions that are refused.",
		"A member whose network fails gets the host's network.",
		"Add refusal=empty to its lines; lines that other services share must be copied into {file} first.", "")
	untried = row("service-untried", Note, "Nobody has tried whether {service} obeys a refusal.",
		"If it ignores one, a member whose network fails gets the host's network.",
		"Add refusal=empty to its lines; lines that other services share must be copied into {file} first.", "")
	withoutSessions = row("service-without-sessions", Error, "{service} opens no sessions without \"{setting}\".",
		"No module is called: members get the host's network.", "Set \"{setting}\" in {file}.", "")
	sudoWithout = row("service-without-sessions", Error, "sudo opens no sessions: {file} has \"!pam_session\".",
		"No module is called: members get the caller's network.", "Remove \"!pam_session\" from {file}.", "")
	sharesProcess = row("service-shares-process", Error, "Dovecot opens the sessions of all users in one worker process.",
		"Members' mail is served in the host's network, and the worker stays in a member's.", "Remove session=yes.", "")
	sshdWithoutPAM = row("sshd-without-pam", Error, "sshd does not use PAM.",
		"No module is called: members who log in over ssh get the host's network.", "Set \"UsePAM yes\", and reload sshd.", "sshd uses PAM.")
	sshdOtherWithoutPAM = row("sshd-without-pam", Error, "The sshd with {file} does not use PAM.",
		"No module is called: members who log in over ssh get the host's network.", "Set \"UsePAM yes\" in {file}, and start this sshd again.", "")
	sshdArgument = row("sshd-without-pam", Error, "{place} starts an sshd that does not use PAM.",
		"No module is called: members who log in over ssh get the host's network.", "Remove the option UsePAM from its command line.", "")
)

// Programs that open no session.
var (
	outsideError = row("service-outside-pam", Error, "{program} {does}, and opens no session of PAM.",
		"No module is called: members get the host's network.", "{advice}", "No program that acts for users goes without a session of PAM.")
	outsideWarning = row("service-outside-pam", Warning, "{program} {does}, and opens no session of PAM.",
		"No module is called: what members start there gets the host's network.", "{advice}", "")
)

// Files of networks.
var (
	etcRefused = row("etc-netns-refused", Error, "{error}.",
		"Logins to this network are refused.", "Let root alone own and write it, or move it away.", "")
	etcSkipped = row("etc-netns-skipped", Warning, "{file} replaces nothing: {target} does not exist.",
		"Sessions in network {network} do without it.", "Create {target}, or correct the name of the file.", "")
	etcMisnamed = row("etc-netns-skipped", Warning, "{file} replaces nothing: {target} is meant.",
		"Sessions in network {network} have the host's {target}.", "Rename it.", "")
	etcUnused = row("etc-netns-unused", Note, "{file} is for the network of no member.",
		"Logins do not use it. {why}", "Name it after a member of usernet, or the NAME of a groupnet-NAME, or remove it.", "")
	etcRenamed = row("etc-netns-renamed", Note, "{file} covers {target}, which programs replace by a rename.",
		"From then on, running sessions in network {network} see the host's file.", "Remove {file}.", "")
	resolvRenamed = row("etc-netns-renamed", Note, "{file} covers {target}, which a program replaces by a rename.",
		"From then on, running sessions in network {network} see the host's file.",
		"Make {target} a symbolic link, whose cover holds: mv {target} {target}.host && ln -s resolv.conf.host {target}", "")
	netnsNobody = row("network-nobody", Note, "Network {network} is that of nobody.",
		"Its user or group has another name now, or is gone. Later logins get another network, without the files in /etc/netns/{network}.",
		"Take it down: pamnetctl prune", "")
	runForeign = row("run-netns-foreign", Note, "{file} cannot be the network of a session: {error}.",
		"Logins to a network of this name would be refused. No member has one.", "Unmount it, or move it away.", "")
	runForeignUsed = row("run-netns-foreign", Error, "{file} cannot be the network of a session: {error}.",
		"Logins to the network of this name are refused.", "Unmount it, or move it away.", "")
)

// Uplinks.
var (
	uplinkFails = row("uplink-config", Error, "pamnet-uplink fails: {error}.",
		"Logins that create a network with an uplink are refused.", "Correct the configuration: pamnet-uplink --check", "")
	uplinkOpen = row("uplink-incomplete", Error, "{uplinks} of {networks} {has} no rules in the firewall: nftables table inet pamnet lacks them.",
		"Sessions there reach nothing, or with gate = false the host and their neighbours.", "Repair it: pamnet-uplink up --all",
		"All uplinks have their links and firewall rules.")
	uplinkIncomplete = row("uplink-incomplete", Warning, "{uplinks} of {networks} {are} incomplete.",
		"Sessions there may reach nothing.", "Repair it: pamnet-uplink up --all", "")
	uplinkMissing = row("uplink-missing", Warning, "Network {network} has no uplink, and the lines have setup=pamnet-uplink.",
		"Its sessions reach nothing: a login by a line without setup= has created it.", "Connect it: pamnet-uplink up {network}", "")
	uplinkRenamed = row("uplink-nobody", Warning, "The uplink of network {network} belongs to {user}, who had another name.",
		"Logins of {user} with an uplink are refused.", "Take it down: pamnet-uplink down {network}", "")
	uplinkNobody = row("uplink-nobody", Note, "The uplink of network {network} belongs to nobody.",
		"Whoever gets its number next is refused an uplink.", "Take it down: pamnet-uplink down {network}", "")
	uplinkWarning = row("uplink-warning", Warning, "The uplink of network {network}: {warning}.",
		"Uplinks may not work.", "See pamnet-uplink show {network}.", "")
)

// The kernel.
var (
	kernelOld = row("kernel-old", Error, "Linux {version} is too old: {feature} needs {needed}.",
		"{effect}", "Boot a newer kernel.", "")
	kernelMounts = row("kernel-old", Note, "Linux {version} lacks the mount API of 5.2.",
		"A session's mounts are covered instead of removed: root can uncover them.", "Boot a newer kernel.", "")
	kernelNet = row("kernel-net", Error, "This kernel has no network namespaces.",
		"Members are refused.", "Boot a kernel that has them.", "")
	kernelUplink = row("kernel-uplink", Error, "Linux {version} has no {modules}, which pamnet-uplink needs.",
		"Logins that create a network with an uplink are refused.", "Install all modules of this kernel, or boot another.", "")
	kernelLocked = row("kernel-uplink", Error, "{modules} {are} not loaded, and kernel.modules_disabled forbids it.",
		"Logins that create a network with an uplink are refused.", "Load the modules at boot, and reboot.", "")
	kernelUser = row("kernel-user", Error, "This kernel has no user namespaces, which selfmanaged needs.",
		"Members are refused.", "Boot a kernel that has them.", "")
	kernelForbids = row("kernel-limit", Error, "{file} allows no namespaces.",
		"Members are refused.", "Raise the limit.", "")
	kernelLimit = row("kernel-limit", Warning, "{file} allows {limit} namespaces, and {members} may need one.",
		"Members are refused while that many are in use.", "Raise the limit.", "")
	userNamespaces = row("selfmanaged-userns", Note, "{setting} keeps users from user namespaces, and selfmanaged gives members one.",
		"Members reach code of the kernel that the parameter keeps from users: mounts, nftables and more.", "Remove selfmanaged if that is not wanted.", "")
)

// What else may refuse logins, or is another than it looks.
var (
	unitRefuses = row("unit-refuses", Error, "{unit} denies its logins what the modules need: {setting} lacks {lacks}.",
		"Members are refused there.", "Allow it in a drop-in, and start the unit again.", "The units of login services allow what the modules need.")
	mountsPrivate = row("mounts-private", Note, "The mounts of the host are private: \"/\" is not shared.",
		"Sessions do not see what the host mounts later, and keep what it unmounts.", "Share them at boot: mount --make-rshared /", "")
	selinuxEnforces = row("selinux", Warning, "SELinux is enforcing, and has no policy module libpam_net.",
		"Members' logins may be refused.", "Try it: pamnetctl check USER. Denials are in the log: ausearch -m avc", "")
	apparmorEnforces = row("apparmor", Warning, "AppArmor confines the login program of profile {profile}.",
		"Members' logins are refused unless the profile allows namespaces, mounts and their capabilities.",
		"Try it: pamnetctl check USER. Then allow in the profile what the log names.", "")
	networkDeleted = row("network-deleted", Note, "{user} has {count} in a network that was deleted.",
		"Later logins of {user} get another network, and do not reach these processes.", "End {user}'s processes.", "")
)

// Ways out of a session.
var (
	socketOpen = row("socket", Warning, "Sessions of {users} can connect to {socket}.",
		"A user who can talk to it can {power}.", "Cover it.", "")
	socketBus = row("socket", Note, "Sessions of {users} can connect to {socket}.",
		"A user who can talk to it can {power}.", "Cover it if no daemon there is wanted.", "")
	resolverAnswers = row("resolver", Warning, "Source {source} of the hosts in nsswitch.conf answers sessions, by {file}.",
		"Sessions look up names in the host's network.", "Cover {file}, or remove the source.", "")
	resolverShared = row("resolver", Warning, "Source {source} of the hosts in nsswitch.conf answers sessions, by {file}.",
		"Sessions look up names in the host's network. {file} cannot be covered: accounts are asked for by it, too.", "Remove {source} from the hosts.", "")
	resolverReturns = row("resolver", Note, "Source {source} of the hosts in nsswitch.conf asks systemd-resolved.",
		"Its socket is covered. After a restart of systemd-resolved it answers the sessions that run.", "Remove {source} from the hosts.", "")
	vsockModule = row("vsock", Note, "AF_VSOCK connects this machine with its virtual machines and its hypervisor.",
		"It knows no network namespaces: members reach what listens there.", "Keep the module vsock from being loaded, and reboot.", "")
	vsockBuiltIn = row("vsock", Note, "AF_VSOCK connects this machine with its virtual machines and its hypervisor.",
		"It knows no network namespaces: members reach what listens there.",
		"Add initcall_blacklist=vsock_init to the kernel's command line, and reboot.", "")
	ptraceOpen = row("ptrace", Note, "Processes of one user can trace each other.",
		"A session can take over its user's processes in another network.", "Set kernel.yama.ptrace_scope.", "")
	lingering = row("linger", Warning, "The user manager of {user} runs at all times, and is not isolated.",
		"A session can start programs in the host's network through it.", "End it, and let it start with a session.", "")
	unitOutside = row("unit-outside", Warning, "{unit} is started at boot and runs as {user}, without a session.",
		"What it runs is in the host's network.", "Set PAMName=login in a drop-in, or NetworkNamespacePath= to the network of {user}.", "")
	runningOutside = row("running-outside", Warning, "{user} has {count} in the host's network.",
		"Sessions can use what was started before the modules were in place, or by a service without them.", "End {user}'s processes.",
		"No member has a process in the host's network.")
)
