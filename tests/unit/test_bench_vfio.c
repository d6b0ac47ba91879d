// SPDX-License-Identifier: GPL-2.0
/* wbinvdbench: what it says about a function that it cannot open, and about the host. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/wbinvdbench/host.h"
#include "../../tools/wbinvdbench/vfio.h"
#include "rmtree.h"

#define BDF "0000:01:00.0"
#define DEV "sys/bus/pci/devices/" BDF

static char root[] = "/tmp/test_bench_vfio.XXXXXX";

static const char *under(const char *path)
{
	static char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return full;
}

static void make_dirs(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s", under(path));
	for (char *p = full + sizeof(root); (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		if (mkdir(full, 0755))
			assert_int_equal(errno, EEXIST);
	}
	if (mkdir(full, 0755))
		assert_int_equal(errno, EEXIST);
}

static void make_file(const char *path, const char *text)
{
	int fd = open(under(path), O_CREAT | O_TRUNC | O_WRONLY, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void make_link(const char *path, const char *target)
{
	unlink(under(path));
	assert_int_equal(symlink(target, under(path)), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	return !mkdtemp(root);
}

static int teardown(void **state)
{
	(void)state;
	return rmtree(root);
}

static int check(bool *cdev, char **said)
{
	int fd = memfd_create("stderr", 0), saved = dup(STDERR_FILENO), err;
	off_t len;

	dup2(fd, STDERR_FILENO);
	err = vfio_check(root, BDF, cdev);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = lseek(fd, 0, SEEK_END);
	*said = calloc(1, len + 1);
	assert_int_equal(pread(fd, *said, len, 0), len);
	close(fd);
	return err;
}

static void test_absent(void **state)
{
	char *said;
	bool cdev;

	(void)state;
	assert_int_equal(check(&cdev, &said), -ENODEV);
	assert_non_null(strstr(said, "no PCI function " BDF));
	free(said);
}

static void test_other_driver(void **state)
{
	char *said;
	bool cdev;

	(void)state;
	make_dirs(DEV);
	make_link(DEV "/driver", "../../../bus/pci/drivers/e1000e");
	make_link(DEV "/iommu_group", "../../../kernel/iommu_groups/5");
	assert_int_equal(check(&cdev, &said), -EBUSY);
	assert_non_null(strstr(said, "on driver e1000e"));
	assert_non_null(
		strstr(said, "  echo vfio-pci > /sys/bus/pci/devices/" BDF "/driver_override\n"));
	assert_non_null(
		strstr(said, "  echo " BDF " > /sys/bus/pci/devices/" BDF "/driver/unbind\n"));
	assert_non_null(strstr(said, "  echo " BDF " > /sys/bus/pci/drivers_probe\n"));
	free(said);
}

static void test_no_driver(void **state)
{
	char *said;
	bool cdev;

	(void)state;
	make_dirs(DEV);
	assert_int_equal(check(&cdev, &said), -EBUSY);
	assert_non_null(strstr(said, "has no driver"));
	assert_null(strstr(said, "unbind"));
	free(said);
}

static void test_no_group(void **state)
{
	char *said;
	bool cdev;

	(void)state;
	make_dirs(DEV);
	make_link(DEV "/driver", "../../../bus/pci/drivers/vfio-pci");
	assert_int_equal(check(&cdev, &said), -EOPNOTSUPP);
	assert_non_null(strstr(said, "no IOMMU group"));
	free(said);
}

/* The cdev needs all of it: the node of the function, and /dev/iommu. */
static void test_path(void **state)
{
	char *said;
	bool cdev;

	(void)state;
	make_dirs(DEV "/vfio-dev/vfio0");
	make_dirs("dev");
	/* A vendor's own VFIO driver. */
	make_link(DEV "/driver", "../../../bus/pci/drivers/mlx5_vfio_pci");
	make_link(DEV "/iommu_group", "../../../kernel/iommu_groups/5");
	assert_int_equal(check(&cdev, &said), 0);
	assert_string_equal(said, "");
	assert_false(cdev);
	free(said);
	make_file(DEV "/vfio-dev/vfio0/dev", "511:0\n");
	assert_int_equal(check(&cdev, &said), 0);
	assert_false(cdev);
	free(said);
	make_file("dev/iommu", "");
	assert_int_equal(check(&cdev, &said), 0);
	assert_true(cdev);
	free(said);
}

static void test_host(void **state)
{
	struct host h;

	(void)state;
	host_read(&h, root);
	assert_null(h.cpu_model);
	assert_null(h.vendor_module);
	assert_true(*h.kernel);
	host_free(&h);

	make_dirs("proc");
	make_file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 1\n"
				  "model name\t: AMD EPYC \xff 7763\nflags\t\t: svm\n\n"
				  "processor\t: 1\nmodel name\t: Another\n");
	make_dirs("sys/module/kvm/parameters");
	make_dirs("sys/module/kvm_amd");
	make_dirs("sys/module/kvm_intel");
	host_read(&h, root);
	assert_string_equal(h.cpu_model, "AMD EPYC \xef\xbf\xbd 7763");
	assert_string_equal(h.vendor_module, "kvm_amd");
	host_free(&h);

	/* A loaded module decides, and other users of kvm.ko are no vendor modules. */
	make_dirs("sys/module/kvm/holders/kvm_pvm");
	make_dirs("sys/module/kvm/holders/vfio_ap");
	host_read(&h, root);
	assert_string_equal(h.vendor_module, "kvm_pvm");
	host_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host, setup, teardown),
	};

	return cmocka_run_group_tests_name("wbinvdbench vfio", tests, NULL, NULL);
}
