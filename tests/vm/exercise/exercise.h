/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of exercise have of each other */
#ifndef EXERCISE_H
#define EXERCISE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sys/ioctl.h>

#define PAGE	    4096UL
#define ARENA	    (8UL << 20)
#define FIRST_IOVA  (1UL << 24)
#define MAX_DEVICES 8
#define MAX_THREADS 16
#define MAX_ERRNO   140
#define MAX_NAMES   96
#define MAX_TOLD    64
#define SLOTS	    4
#define CANARY	    0x5a

#define ERRORS(...)    ((const short[]){ __VA_ARGS__, 0 })
#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define VFIO_IOCTL(nr) _IO(';', nr)

/* Of the mock driver, IOMMU_TEST_CMD */
#define TEST_CMD	     VFIO_IOCTL(0xa0)
#define TEST_OP_DEVICE_FLAGS 12
#define MOCK_DIRTY	     1
#define MOCK_PASID	     4
#define MOCK_ENFORCES	     8
#define MOCK_ALWAYS	     32

/* ---- main.c -------------------------------------------------------------------------------------- */

/* Calls that are made by functions of their own; those of the table come behind them */
enum name {
	OPEN,
	CLOSE,
	CONFIG_READ,
	CONFIG_WRITE,
	GET_INFO,
	FEATURE,
	SET_CONTAINER,
	GET_DEVICE_FD,
	SET_ATTR,
	GET_ATTR,
	HAS_ATTR,
	ENABLE_CAP,
	RUN,
	RULES,
	RACE,
	ATTACH,
	BY_GROUP,
	FROM_TABLE
};

/* What all processes see */
extern struct shared {
	atomic_bool stop, stop_unplug;
	atomic_uint wrong, unplugged;
	atomic_uint counts[MAX_NAMES][MAX_ERRNO];
	atomic_ullong ns[MAX_NAMES]; /* of all threads */
	atomic_uint doing[MAX_THREADS];
	atomic_uint told[MAX_TOLD];
} * shared;

extern struct options {
	uint64_t seed;
	unsigned int seconds, threads, nr_devices;
	int forbidden;
	bool keep, spin, table, seeded;
	const char *devices[MAX_DEVICES];
} opt;

/* What is mapped, and where calls may write: ARENA bytes, behind which is nothing */
extern uint8_t *arena;

const char *name_of(unsigned int name);
/* Something is: prints it, once */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* That a call gave this error, or 0 */
void count(unsigned int name, int error);
/* The same; an error has to be one of these, which end with 0, or of a file of another kind */
void judge(unsigned int name, int error, const short *allowed);
bool of_another_file(int error);

/* A number that is seldom right */
uint64_t odd_number(void);

/* ---- files.c ------------------------------------------------------------------------------------- */

/* What a file descriptor is of */
enum file_kind {
	IOMMUFD,
	CDEV,
	GROUP,
	GROUP_DEVICE,
	CONTAINER,
	VM,
	KVM_VFIO,
	VCPU,
	ACCESS,
	QUEUE,
	OTHER,
	NR_FILE_KINDS
};

/* What an id of an iommufd is of; PT is an IOAS or a HWPT */
enum id_kind { IOAS, HWPT, DEVICE, MOCK, VIOMMU, FAULT, NR_ID_KINDS, PT };

int file_at(enum file_kind kind, unsigned int slot);
/* A slot with a file, if there is one */
unsigned int slot_of(enum file_kind kind);
/* A file of that kind, seldom of another, or none; never an iommufd */
int some_file(enum file_kind kind);
/* Takes the place of what is there, which is closed */
void put_file(enum file_kind kind, unsigned int slot, int fd);
/* A slot of the iommufds with devices of the mock driver, or of those with VFIO's */
unsigned int iommufd_slot(bool mock);
/* What a group may have: an iommufd or a container, -1 if it is no group */
int container_for(int group);

/* An id that the iommufd in that slot has given out, of that kind most of the time */
uint32_t some_id(unsigned int slot, enum id_kind kind);
void put_id(unsigned int slot, enum id_kind kind, uint32_t id);
/* The slot of the iommufd that the device in a slot was bound to */
extern atomic_uint bound_to[SLOTS];

const char *some_device(void);
int open_cdev(const char *device);
int open_group(const char *device);
void no_files(void);
/* Closes what is in a slot, while others use it, and opens another one */
void reopen(enum file_kind kind, unsigned int slot);
void do_reopen(void);
void do_close(void);

/* ---- calls.c, table.c ---------------------------------------------------------------------------- */

unsigned int nr_calls(void);
const char *call_name(unsigned int nr);
unsigned int call_weight(unsigned int nr);
void make_call(unsigned int nr);

void do_config(void);
void do_info(void);
void do_feature(void);
void do_set_container(void);
void do_get_device(void);
void do_attr(void);
void do_enable_cap(void);
void do_run(void);
void do_attach(void);
void do_open_by_group(void);

/* ---- rules.c: what has to come out --------------------------------------------------------------- */

void do_rules(void);
void do_race(void);

/* ---- left.c -------------------------------------------------------------------------------------- */

/* What is pinned and locked, at first; later, whether it is the same */
void take_stock(bool first);
/* Attaches the first device and maps a page for it, for good */
void keep_page(void);

#endif /* EXERCISE_H */
