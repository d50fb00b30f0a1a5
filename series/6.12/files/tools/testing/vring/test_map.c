// SPDX-License-Identifier: GPL-2.0
/* Mapping functions of this kernel only: queues whose driver maps everything. */
#include "test.h"

static void premapped_too_late(struct run *t)
{
	test_queue(t);
	drv_submit(&t->drv, 1, 1, 8);
	check_eq(virtqueue_set_dma_premapped(t->q->vq), -EINVAL);
	check_eq(drv_dev_serve(&t->drv, 2), 1);
	check_eq(virtqueue_set_dma_premapped(t->q->vq), -EINVAL);
	check_eq(drv_reap(&t->drv), 1);
	drv_check_works(&t->drv);
	drv_premap(&t->drv);
	drv_check_works(&t->drv);
}

const struct test map_tests[] = {
	{ "premapped mode is refused on a queue that is in use", premapped_too_late,
	  AXIS_ALL },
	{ 0 }
};
