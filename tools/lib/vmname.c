// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "procutil.h"
#include "vmname.h"

/* A command line may be of 6 MiB; whoever is named behind this is a comm. */
#define CMDLINE_MAX ((size_t)4 << 20)
#define CGROUP_MAX  ((size_t)256 << 10)

/* Look-ups until a fallback is taken for good. */
#define TRIES_MAX 8

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define ELLIPSIS    "\xe2\x80\xa6" /* U+2026 */

struct slice {
	const char *s;
	size_t len;
};

/* --- text ----------------------------------------------------------------- */

/* Length of the UTF-8 character at s and its code point; 0: it is none. */
static size_t utf8_char(const unsigned char *s, size_t len, uint32_t *cp)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n, i;

	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] < 0xe0)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] < 0xf0)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] < 0xf5)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	*cp = s[0] & (0xff >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3f);
	}
	if (*cp < smallest[n] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp < 0xe000))
		return 0;
	return n;
}

/* Would move the cursor, break the line or turn the text of others around. */
static bool unprintable(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069);
}

char *vmname_sanitize(const char *s, size_t len)
{
	char out[VMNAME_MAX + 1];
	size_t used = 0, cut = 0, i = 0;

	while (i < len) {
		const char *add = s + i;
		uint32_t cp = 0;
		size_t n = utf8_char((const unsigned char *)add, len - i, &cp);

		i += n ? n : 1;
		if (!n || unprintable(cp)) {
			add = REPLACEMENT;
			n = strlen(REPLACEMENT);
		}
		if (used + n > VMNAME_MAX) {
			memcpy(out + cut, ELLIPSIS, strlen(ELLIPSIS));
			used = cut + strlen(ELLIPSIS);
			break;
		}
		memcpy(out + used, add, n);
		used += n;
		if (used <= VMNAME_MAX - strlen(ELLIPSIS))
			cut = used;
	}
	return strndup(out, used);
}

static bool slice_is(struct slice a, const char *s)
{
	return a.len == strlen(s) && !memcmp(a.s, s, a.len);
}

static bool slice_starts(struct slice a, const char *s)
{
	return a.len >= strlen(s) && !memcmp(a.s, s, strlen(s));
}

static bool slice_ends(struct slice a, const char *s)
{
	return a.len >= strlen(s) && !memcmp(a.s + a.len - strlen(s), s, strlen(s));
}

static struct slice slice_skip(struct slice a, size_t n)
{
	return (struct slice){ a.s + n, a.len - n };
}

/* --- command lines -------------------------------------------------------- */

/*
 * QEMU's options without a value, of all its versions that run on current
 * kernels (qemu-options.hx: DEF(name, 0, ...)); every other option takes the
 * next argument, whatever that looks like.
 */
/* clang-format off */
static const char *const qemu_flags[] = {
	"h", "help", "version", "S", "s", "alt-grab", "async-teardown", "audio-help", "ctrl-grab",
	"curses", "daemonize", "enable-fips", "enable-kvm", "enable-sync-profile", "full-screen",
	"jitdump", "kvm-no-irqchip", "localtime", "mem-prealloc", "no-acpi", "no-fd-bootchk",
	"no-frame", "no-hpet", "no-kvm", "no-kvm-irqchip", "no-kvm-pit",
	"no-kvm-pit-reinjection", "no-quit", "no-reboot", "no-shutdown", "no-user-config",
	"nodefaults", "nodefconfig", "nographic", "nouserconfig", "old-param",
	"only-migratable", "perfmap", "portrait", "preconfig", "rtc-td-hack", "sdl",
	"semihosting", "show-cursor", "singlestep", "snapshot", "std-vga", "tdf", "usb",
	"win2k-hack", "xen-attach", "xen-create", "xen-domid-restrict",
};
/* clang-format on */

enum vmm { VMM_OTHER, VMM_QEMU, VMM_FIRECRACKER };

static enum vmm which_vmm(struct slice argv0)
{
	const char *slash = argv0.len ? memrchr(argv0.s, '/', argv0.len) : NULL;

	if (slash)
		argv0 = slice_skip(argv0, slash + 1 - argv0.s);
	if (slice_is(argv0, "kvm") || memmem(argv0.s, argv0.len, "qemu", 4))
		return VMM_QEMU;
	if (slice_starts(argv0, "firecracker"))
		return VMM_FIRECRACKER;
	return VMM_OTHER;
}

/* An option's name without its one or two dashes; empty: it is none. */
static struct slice option_name(struct slice arg)
{
	if (!slice_starts(arg, "-"))
		return (struct slice){ NULL, 0 };
	return slice_skip(arg, slice_starts(arg, "--") ? 2 : 1);
}

static bool qemu_takes_value(struct slice option)
{
	size_t i;

	for (i = 0; i < sizeof(qemu_flags) / sizeof(qemu_flags[0]); i++)
		if (slice_is(option, qemu_flags[i]))
			return false;
	return true;
}

/* Up to the comma that ends a value, or the end; ",," is a comma in it. */
static size_t value_len(struct slice v)
{
	size_t i = 0;

	while (i < v.len) {
		if (v.s[i] != ',')
			i++;
		else if (i + 1 < v.len && v.s[i + 1] == ',')
			i += 2;
		else
			break;
	}
	return i;
}

/*
 * The guest= key of a -name value, as QEMU's option parser finds it: the last
 * one, the first element's key may be left out.  Value still escaped.
 */
static bool guest_key(struct slice v, struct slice *guest)
{
	bool first = true, found = false;

	while (v.len) {
		size_t n = 0;
		struct slice key, val = v;
		bool keyed;

		while (n < v.len && v.s[n] != '=' && v.s[n] != ',')
			n++;
		keyed = n < v.len && v.s[n] == '=';
		key = (struct slice){ v.s, n };
		if (keyed)
			val = slice_skip(v, n + 1);
		n = value_len(val);
		if (keyed ? slice_is(key, "guest") : first) {
			*guest = (struct slice){ val.s, n };
			found = true;
		}
		first = false;
		v = slice_skip(val, n < val.len ? n + 1 : n);
	}
	return found;
}

static char *unescape_commas(struct slice v)
{
	char *out = malloc(v.len + 1), *name;
	size_t i, used = 0;

	if (!out)
		return NULL;
	for (i = 0; i < v.len; i++) {
		out[used++] = v.s[i];
		if (v.s[i] == ',' && i + 1 < v.len && v.s[i + 1] == ',')
			i++;
	}
	name = used ? vmname_sanitize(out, used) : NULL;
	free(out);
	return name;
}

/* The argument at *pos, and *pos behind its NUL. False at the end. */
static bool next_arg(const char *buf, size_t len, size_t *pos, struct slice *arg)
{
	const char *nul;

	if (*pos >= len)
		return false;
	nul = memchr(buf + *pos, '\0', len - *pos);
	arg->s = buf + *pos;
	arg->len = nul ? (size_t)(nul - arg->s) : len - *pos;
	*pos += arg->len + 1;
	return true;
}

char *vmname_from_cmdline(const char *buf, size_t len)
{
	struct slice arg, value, guest = { NULL, 0 };
	const char *wanted = "name";
	enum vmm vmm;
	size_t pos = 0;

	if (!next_arg(buf, len, &pos, &arg))
		return NULL;
	vmm = which_vmm(arg);
	if (vmm == VMM_FIRECRACKER)
		wanted = "id";
	while (next_arg(buf, len, &pos, &arg)) {
		struct slice opt = option_name(arg);

		if (!opt.len)
			continue;
		if (slice_is(opt, wanted)) {
			if (!next_arg(buf, len, &pos, &value))
				break;
		} else if (vmm != VMM_QEMU && slice_starts(opt, wanted) &&
			   opt.s[strlen(wanted)] == '=') {
			value = slice_skip(opt, strlen(wanted) + 1);
		} else {
			if (vmm == VMM_QEMU && qemu_takes_value(opt))
				next_arg(buf, len, &pos, &value);
			continue;
		}
		if (vmm == VMM_FIRECRACKER)
			guest = value;
		else
			guest_key(value, &guest);
	}
	if (!guest.len)
		return NULL;
	return vmm == VMM_FIRECRACKER ? vmname_sanitize(guest.s, guest.len) :
					unescape_commas(guest);
}

/* --- cgroups -------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* systemd's \xHH in place; what is not complete stays as it is. */
static size_t unescape_unit(char *s, size_t len)
{
	size_t i, used = 0;

	for (i = 0; i < len; i++) {
		int hi = -1, lo = -1;

		if (s[i] == '\\' && i + 3 < len && s[i + 1] == 'x') {
			hi = hex_digit(s[i + 2]);
			lo = hex_digit(s[i + 3]);
		}
		if (hi >= 0 && lo >= 0) {
			s[used++] = hi << 4 | lo;
			i += 3;
		} else {
			s[used++] = s[i];
		}
	}
	return used;
}

/* "qemu-3-web01", libvirt's machine name, to "web01"; others stay whole. */
static struct slice strip_driver(struct slice m)
{
	static const char *const drivers[] = { "qemu-", "lxc-", "xen-", "ch-" };
	size_t i, n;

	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (!slice_starts(m, drivers[i]))
			continue;
		n = strlen(drivers[i]);
		while (n < m.len && m.s[n] >= '0' && m.s[n] <= '9')
			n++;
		if (n > strlen(drivers[i]) && n < m.len && m.s[n] == '-')
			return slice_skip(m, n + 1);
	}
	return m;
}

/* The machine's part of a component of a cgroup path; empty: it is none. */
static struct slice machine_component(struct slice c)
{
	static const char deleted[] = " (deleted)";
	static const char *const partitions[] = {
		".libvirt-qemu",
		".libvirt-lxc",
		".libvirt-xen",
		".libvirt-ch",
	};
	size_t i;

	if (slice_ends(c, deleted))
		c.len -= strlen(deleted);
	if (slice_starts(c, "machine-") && slice_ends(c, ".scope") &&
	    c.len > strlen("machine-.scope")) {
		c.len -= strlen(".scope");
		return slice_skip(c, strlen("machine-"));
	}
	for (i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++) {
		if (slice_ends(c, partitions[i])) {
			c.len -= strlen(partitions[i]);
			return c;
		}
	}
	return (struct slice){ NULL, 0 };
}

static char *machine_name(struct slice escaped)
{
	char *copy = malloc(escaped.len), *name = NULL;
	struct slice m;

	if (!copy)
		return NULL;
	memcpy(copy, escaped.s, escaped.len);
	m = strip_driver((struct slice){ copy, unescape_unit(copy, escaped.len) });
	if (m.len)
		name = vmname_sanitize(m.s, m.len);
	free(copy);
	return name;
}

/* Takes the part before the next sep, or the rest, off s. */
static struct slice take_until(struct slice *s, char sep)
{
	const char *end = s->len ? memchr(s->s, sep, s->len) : NULL;
	struct slice head = { s->s, end ? (size_t)(end - s->s) : s->len };

	*s = slice_skip(*s, end ? head.len + 1 : head.len);
	return head;
}

char *vmname_from_cgroup(const char *buf, size_t len)
{
	struct slice rest = { buf, len };

	while (rest.len) {
		struct slice path = take_until(&rest, '\n'), machine = { NULL, 0 };
		char *name;

		/* hierarchy:controllers:path */
		take_until(&path, ':');
		take_until(&path, ':');
		while (path.len) {
			struct slice m = machine_component(take_until(&path, '/'));

			if (m.len)
				machine = m;
		}
		name = machine.len ? machine_name(machine) : NULL;
		if (name)
			return name;
	}
	return NULL;
}

/* --- cache ---------------------------------------------------------------- */

struct vm_entry {
	pid_t pid;
	uint64_t start;
	char *name;
	unsigned int tries; /* so far, while it is a fallback */
	bool found;	    /* name is no fallback */
	bool asked;	    /* since the last vmname_cache_age() */
	struct vm_entry *next;
};

struct vmname_cache {
	int procfd;
	bool foreign;
	int64_t boottime_offset;
	unsigned long hz;
	void *tree;	       /* of struct vm_entry, by pid and start */
	struct vm_entry *list; /* the same ones */
};

static int entry_cmp(const void *pa, const void *pb)
{
	const struct vm_entry *a = pa, *b = pb;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return 0;
}

static void entry_free(struct vm_entry *e)
{
	free(e->name);
	free(e);
}

struct vmname_cache *vmname_cache_new(const char *procfs)
{
	struct vmname_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->procfd = open(procfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	c->hz = sysconf(_SC_CLK_TCK);
	if (c->procfd >= 0) {
		c->foreign = !proc_is_init_pidns(c->procfd);
		c->boottime_offset = proc_boottime_offset(c->procfd);
	}
	return c;
}

void vmname_cache_free(struct vmname_cache *c)
{
	struct vm_entry *e;

	if (!c)
		return;
	while ((e = c->list)) {
		c->list = e->next;
		tdelete(e, &c->tree, entry_cmp);
		entry_free(e);
	}
	if (c->procfd >= 0)
		close(c->procfd);
	free(c);
}

uint64_t vmname_start_ticks(const struct vmname_cache *c, uint64_t start_boottime_ns)
{
	if (!start_boottime_ns)
		return 0;
	return proc_boottime_to_ticks(start_boottime_ns, c->boottime_offset, c->hz);
}

bool vmname_foreign(const struct vmname_cache *c)
{
	return c->foreign;
}

/* Without the argument that the limit cut through: part of a name is another's name. */
static size_t whole_args(const char *buf, size_t len)
{
	const char *nul;

	if (len < CMDLINE_MAX)
		return len;
	nul = memrchr(buf, '\0', len);
	return nul ? (size_t)(nul - buf) : 0;
}

/*
 * The name that procfs has for exactly that process, NULL if none.  The open
 * directory stands for the process, not for its number: nothing is mixed up
 * when it ends in between.
 */
static char *look_up(const struct vmname_cache *c, pid_t pid, uint64_t start)
{
	char path[16], *buf, *name = NULL;
	uint64_t ticks;
	size_t len;
	int dirfd;

	if (c->foreign && !start)
		return NULL;
	snprintf(path, sizeof(path), "%d", (int)pid);
	dirfd = openat(c->procfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return NULL;
	ticks = proc_start_time_at(dirfd);
	if (!ticks || (start && ticks != start))
		goto out;
	if (!proc_read_file(dirfd, "cmdline", CMDLINE_MAX, &buf, &len)) {
		name = vmname_from_cmdline(buf, whole_args(buf, len));
		free(buf);
	}
	if (!name && !proc_read_file(dirfd, "cgroup", CGROUP_MAX, &buf, &len)) {
		name = vmname_from_cgroup(buf, len);
		free(buf);
	}
out:
	close(dirfd);
	return name;
}

char *vmname_fallback(const struct vmname_cache *c, pid_t pid, const char *comm)
{
	char *clean, *name = NULL;

	if (!comm || !*comm) {
		if (asprintf(&name, "pid %d%s", (int)pid, c->foreign ? VMNAME_FOREIGN : "") < 0)
			return NULL;
		return name;
	}
	clean = vmname_sanitize(comm, strlen(comm));
	if (!clean || !c->foreign)
		return clean;
	if (asprintf(&name, "%s%s", clean, VMNAME_FOREIGN) < 0)
		name = NULL;
	free(clean);
	return name;
}

static struct vm_entry *entry_get(struct vmname_cache *c, pid_t pid, uint64_t start)
{
	struct vm_entry key = { .pid = pid, .start = start }, **node, *e;

	node = tfind(&key, &c->tree, entry_cmp);
	if (node)
		return *node;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->pid = pid;
	e->start = start;
	if (!tsearch(e, &c->tree, entry_cmp)) {
		free(e);
		return NULL;
	}
	e->next = c->list;
	c->list = e;
	return e;
}

const char *vmname_get(struct vmname_cache *c, pid_t pid, uint64_t start, const char *fallback)
{
	struct vm_entry *e = entry_get(c, pid, start);
	char *name;

	if (!e)
		return "?";
	e->asked = true;
	if (e->name && (e->found || e->tries >= TRIES_MAX))
		return e->name;
	e->tries++;
	name = look_up(c, pid, start);
	e->found = name;
	if (!name)
		name = vmname_fallback(c, pid, fallback);
	if (name) {
		free(e->name);
		e->name = name;
	}
	return e->name ? e->name : "?";
}

void vmname_cache_age(struct vmname_cache *c)
{
	struct vm_entry **link = &c->list, *e;

	while ((e = *link)) {
		if (e->asked) {
			e->asked = false;
			link = &e->next;
			continue;
		}
		*link = e->next;
		tdelete(e, &c->tree, entry_cmp);
		entry_free(e);
	}
}
