// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"

/* Boxes that each side leaves possible: the IOMMU in front, and the function. */
static unsigned int boxes_of_iommu(int snoop_control)
{
	if (snoop_control < 0)
		return DEV_BOX(1) | DEV_BOX(2) | DEV_BOX(3) | DEV_BOX(4);
	return snoop_control ? DEV_BOX(1) | DEV_BOX(2) : DEV_BOX(3) | DEV_BOX(4);
}

static unsigned int boxes_of_function(enum dev_no_snoop no_snoop)
{
	switch (no_snoop) {
	case DEV_NO_SNOOP_ENABLED:
		return DEV_BOX(1) | DEV_BOX(3);
	case DEV_NO_SNOOP_HARDWIRED0:
		return DEV_BOX(2) | DEV_BOX(4);
	case DEV_NO_SNOOP_DISABLED:
	case DEV_NO_SNOOP_UNKNOWN:
		break;
	}
	return DEV_BOX(1) | DEV_BOX(2) | DEV_BOX(3) | DEV_BOX(4);
}

static const char *certain_reason(int box)
{
	static const char *const reasons[] = {
		[1] = "the device may use no-snoop, the IOMMU can block it",
		[2] = "the device cannot use no-snoop, and the IOMMU could block it",
		[3] = "the device may use no-snoop, the IOMMU cannot block it",
		[4] = "the device cannot use no-snoop, though the IOMMU could not block it",
	};

	return reasons[box];
}

int device_box_why(struct wb_device *d, const char *why_no_snoop, const char *why_iommu)
{
	const char *device = NULL, *iommu = NULL;
	char *reason;
	int box, len;

	d->box_candidates = boxes_of_iommu(d->snoop_control) & boxes_of_function(d->no_snoop);
	d->box = 0;
	for (box = 1; box <= 4; box++)
		if (d->box_candidates == DEV_BOX(box))
			d->box = box;
	d->certain = d->box != 0;

	if (d->no_snoop == DEV_NO_SNOOP_UNKNOWN)
		device = why_no_snoop ? why_no_snoop : "Enable No Snoop is not known";
	else if (d->no_snoop == DEV_NO_SNOOP_DISABLED)
		device = "bit reads 0; whether hardwired is not proven";
	if (d->snoop_control < 0)
		iommu = why_iommu ? why_iommu :
				    "whether the IOMMU in front can block no-snoop is not known";
	if (d->certain)
		len = asprintf(&reason, "%s", certain_reason(d->box));
	else if (device && iommu)
		len = asprintf(&reason, "%s; %s", iommu, device);
	else
		len = asprintf(&reason, "%s", device ? device : iommu);
	if (len < 0)
		return -ENOMEM;
	free(d->box_reason);
	d->box_reason = reason;
	return 0;
}

int device_box(struct wb_device *d, const char *why_no_snoop)
{
	return device_box_why(d, why_no_snoop, NULL);
}

static int copy_string(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

int device_copy(struct wb_device *to, const struct wb_device *from)
{
	int err;

	*to = *from;
	to->box_reason = NULL;
	err = copy_string(&to->name, from->name);
	if (!err)
		err = copy_string(&to->box_reason, from->box_reason);
	if (err)
		device_clear(to);
	return err;
}

void device_clear(struct wb_device *d)
{
	free(d->name);
	free(d->box_reason);
	memset(d, 0, sizeof(*d));
}

void devices_free(struct wb_device *devs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		device_clear(&devs[i]);
	free(devs);
}
