// SPDX-License-Identifier: GPL-2.0
/*
 * ncdma STEP...
 * ncdma -
 *
 * Goes through the steps, each one argument of words, or with "-" each one line of
 * standard input, and prints for each
 * "STEP: RESULT", where RESULT is 0, the name of the error ("EINVAL") or what the
 * step has to say. Steps name what they make, and the names of others.
 *
 *   iommu                   open /dev/iommu, named so
 *   container NAME          open /dev/vfio/vfio
 *   cdev NAME DEVICE        open the VFIO device of a PCI function or of a UUID
 *   group NAME DEVICE       open its group
 *   device NAME GROUP DEVICE   the device through its group
 *   null                    open /dev/null, named so
 *   close NAME              a file; ids stay what they are
 *
 *   kvm [thread]            create a VM, "vm", with one vCPU, and its VFIO device, "kvm";
 *                           in a thread, which stays
 *   add FILE, del FILE      KVM_DEV_VFIO_FILE_ADD and _DEL
 *   iommufd-add FILE, iommufd-del FILE   KVM_DEV_VFIO_IOMMUFD_ADD and _DEL
 *                           FILE may be "none", not open, and "nowhere", a bad address
 *   run [N]                 the guest executes N (0 to 255, default: 3) WBINVDs on CPU 0.
 *                           "flushed" or "skipped", as the kernel's kprobe events
 *                           "test_exit" and "test_callback" counted, else the numbers
 *   wbinvd CPU N            the same on that CPU. Tells on how many CPUs the kernel
 *                           flushed, in all, as "test_callback" counted
 *   flushed CPU N           the same. Tells which CPUs, "2 4*3" if CPU 4 flushed three times,
 *                           or "none", from the trace instance "flushes"
 *   stats                   wbinvd_exits, _flushes, _skipped, _migration_flushes
 *   cap                     KVM_CHECK_EXTENSION of the policy, of KVM and of the VM
 *   policy ARG [FLAGS [ARG1 [ARG2 [ARG3]]]]   KVM_ENABLE_CAP of it
 *   state [nowhere]         KVM_DEV_VFIO_COHERENCY_STATE: files, of them non-coherent,
 *                           flags
 *   attr-has GROUP ATTR, attr-get GROUP ATTR, attr-set GROUP ATTR
 *                           of the VFIO device, by numbers
 *
 *   bind NAME               a device to the iommufd
 *   attach NAME PT          to an IOAS or HWPT; names what it is attached to NAME.pt
 *   detach NAME
 *   hw-info NAME            "enforces" or "cannot", of its IOMMU
 *   no-snoop NAME           "may" or "never", as VFIO tells; "unknown" if it does not
 *   box NAME                vfio-dma-box of its fdinfo, or "unknown"
 *   block NAME [force], allow NAME   VFIO_DEVICE_FEATURE_PCI_NO_SNOOP
 *   config NAME POS BYTES VALUE [TIMES]
 *                           writes so many bytes of the number to the device's config space
 *   join GROUP CONTAINER, leave GROUP, set-iommu CONTAINER [TYPE]
 *                           "iommu" is a container, too; TYPE is a number, VFIO_TYPE1v2_IOMMU
 *                           unless given
 *   cc CONTAINER            VFIO_DMA_CC_IOMMU
 *   compat-set IOAS         IOMMU_VFIO_IOAS
 *   compat-get NAME
 *
 *   ioas NAME [WORD...], hwpt NAME DEVICE PT [WORD...], get PT [WORD...],
 *   set PT VALUE [WORD...]  the coherency, "automatic", "enforced", "noncoherent"
 *   destroy NAME            the object of that id
 *   map PT IOVA [BYTES], unmap PT IOVA [BYTES]
 *                           one page, or so many, in an IOAS or a container
 *   snp DEVICE IOVA         "snp", "no snp" or "not mapped", from the IOMMU's tables
 *
 *   unprivileged, privileged   drop and regain CAP_SYS_RAWIO
 *
 * WORD: enforce, noncoherent, nest-parent, flags=N (added to those); and to do it
 * wrong: size=N, tail (a byte behind the struct that is not 0), reserved, id=N,
 * op=N, value=N, data (of a nested HWPT).
 *
 * Exit status: 0 when all steps were tried, 1 when this program cannot, 2 when
 * there is no such step.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ncdma.h"

#define MAX_OBJECTS 64

/* An id that nothing has */
#define ABSENT_ID 0xabcdef

static struct object objects[MAX_OBJECTS];
static unsigned int nr_objects;

const char *answer;

static struct object *find(const char *name)
{
	for (unsigned int i = 0; i < nr_objects; i++)
		if (!strcmp(objects[i].name, name))
			return &objects[i];
	return NULL;
}

struct object *get(const char *name)
{
	struct object *o = find(name);

	if (!o)
		errx(2, "nothing is named %s", name);
	return o;
}

void name_it(const char *name, int fd, uint32_t id)
{
	struct object *o = find(name);

	if (!o) {
		if (nr_objects == MAX_OBJECTS)
			errx(1, "more than %d names", MAX_OBJECTS);
		o = &objects[nr_objects++];
		snprintf(o->name, sizeof(o->name), "%s", name);
	}
	o->fd = fd;
	o->id = id;
}

int open_file(const char *name, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	name_it(name, fd, 0);
	return 0;
}

uint64_t number(const char *s)
{
	char *end;
	uint64_t n;

	n = strtoull(s, &end, 0);
	if (!*s || *end)
		errx(2, "%s is not a number", s);
	return n;
}

int result(int rc)
{
	return rc < 0 ? -errno : 0;
}

static const struct step *find_step(const char *name)
{
	static const struct step *const tables[] = { vfio_steps, iommufd_steps, kvm_steps };

	for (size_t i = 0; name && i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct step *s = tables[i]; s->name; s++)
			if (!strcmp(s->name, name))
				return s;
	errx(2, "there is no such step: %s", name ? name : "");
}

static int run_step(char *text)
{
	char *words[MAX_WORDS + 2] = { NULL }, *save;
	const struct step *step;
	int n = 0;

	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n > MAX_WORDS)
			errx(2, "a step has at most %d words", MAX_WORDS + 1);
		words[n++] = w;
	}
	step = find_step(words[0]);
	if (n - 1 < step->min || n - 1 > step->max)
		errx(2, "%s takes %d to %d words, not %d", step->name, step->min, step->max, n - 1);
	return step->run(words + 1);
}

static void do_step(const char *step)
{
	char *text = strdup(step);
	int rc;

	if (!text)
		err(1, "memory");
	/* Before it is done: should it not return, this is the step. */
	printf("%s: ", step);
	fflush(stdout);
	answer = "0";
	rc = run_step(text);
	puts(rc ? strerrorname_np(-rc) : answer);
	fflush(stdout);
	free(text);
}

static void do_lines(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		do_step(line);
	}
	free(line);
}

int main(int argc, char **argv)
{
	name_it("nothing", -1, ABSENT_ID);
	if (argc == 2 && !strcmp(argv[1], "-"))
		do_lines();
	else
		for (int i = 1; i < argc; i++)
			do_step(argv[i]);
	return 0;
}
