// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what virtio_ring promises to concurrent callers.
 * Documentation/driver-api/virtio/virtio_ring_dma.rst has the promises.  Each
 * test runs for a number of seconds.  It finds more if accesses are slow, and
 * KCSAN slows them down.  Reports of KCSAN are failures.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "race.h"

static unsigned int seconds = 2;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "how long each test goes on");

struct race_case {
	const char *name;
	u64 features;
};

#define EVENT		BIT_ULL(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT	BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC)
#define PACKED		BIT_ULL(VIRTIO_F_RING_PACKED)
#define IN_ORDER	BIT_ULL(VIRTIO_F_IN_ORDER)

static const struct race_case cases[] = {
	{ "split", 0 },
	{ "split, event index, indirect", EVENT | INDIRECT },
	{ "split, event index, in order", EVENT | IN_ORDER },
	{ "packed", PACKED },
	{ "packed, event index, indirect", PACKED | EVENT | INDIRECT },
	{ "packed, event index, in order", PACKED | EVENT | IN_ORDER },
};

KUNIT_ARRAY_PARAM_DESC(race, cases, name);

void race_fail(struct race_queue *q, const char *fmt, ...)
{
	va_list args;

	if (atomic_xchg(&q->failed, 1))
		return;
	va_start(args, fmt);
	vsnprintf(q->error, sizeof(q->error), fmt, args);
	va_end(args);
	wake_up(&q->wq);
	wake_up(&q->bell);
}

/* -- threads ------------------------------------------------------------------ */

enum { DEVICE, DRIVER_0, DRIVER_1, OTHER_0, OTHER_1, THREADS };

static void start(struct kunit *test, struct task_struct **thread,
		  int (*func)(void *data), struct race_queue *q, unsigned int cpu)
{
	struct task_struct *task;

	task = kthread_create(func, q, "vring_race/%u", cpu);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, task);
	if (IS_ERR(task))
		return;
	kthread_bind(task, cpu);
	*thread = task;
	wake_up_process(task);
}

static void stop(struct task_struct **thread)
{
	if (*thread)
		kthread_stop(*thread);
	*thread = NULL;
}

/* Not serialized with anything. */
static int reader(void *data)
{
	struct race_queue *q = data;

	while (!kthread_should_stop()) {
		unsigned int num = virtqueue_get_vring_size(q->vq);

		if (num != RACE_NUM && num != RACE_NUM_LESS)
			race_fail(q, "the queue has %u descriptors", num);
		if (virtqueue_is_broken(q->vq) && !q->lossy)
			race_fail(q, "the queue is broken");
		cond_resched();
	}
	return 0;
}

static int breaker(void *data)
{
	struct race_queue *q = data;

	while (!kthread_should_stop()) {
		virtio_break_device(q->vdev);
		usleep_range(20, 500);
		__virtio_unbreak_device(q->vdev);
		usleep_range(200, 2000);
	}
	return 0;
}

/* -- tests -------------------------------------------------------------------- */

struct race {
	struct race_queue *q;
	struct task_struct *threads[THREADS];
};

static void begin(struct kunit *test, struct race *race, bool lossy)
{
	const struct race_case *param = test->param_value;
	struct race_queue *q = test->priv;

	memset(race, 0, sizeof(*race));
	race->q = q;
	q->lossy = lossy;
	KUNIT_ASSERT_EQ(test, 0, race_create(q, q->parent, param->features));
}

static void begin_traffic(struct kunit *test, struct race *race)
{
	start(test, &race->threads[DEVICE], race_device, race->q, 1);
	start(test, &race->threads[DRIVER_0], race_driver, race->q, 0);
	start(test, &race->threads[DRIVER_1], race_driver, race->q, 1);
}

static void end_traffic(struct race *race)
{
	stop(&race->threads[DRIVER_0]);
	stop(&race->threads[DRIVER_1]);
}

static void end(struct race *race)
{
	race_delete_queue(race->q);
	for (int i = 0; i < THREADS; i++)
		stop(&race->threads[i]);
	race_delete_device(race->q);
}

static unsigned long deadline(void)
{
	return jiffies + seconds * HZ;
}

static void judge(struct kunit *test, struct race_queue *q)
{
	kunit_info(test, "%lu requests used, %lu unused, %d interrupts, %d callbacks",
		   q->got, q->recycled, atomic_read(&q->interrupts),
		   atomic_read(&q->callbacks));
	KUNIT_EXPECT_STREQ(test, q->error, "");
	KUNIT_EXPECT_GT(test, q->got, 10 * seconds);
	KUNIT_EXPECT_GT(test, atomic_read(&q->callbacks), 2 * (int)seconds);
}

/* Adding, reaping, notifying, interrupts wanted and not, as the API has them. */
static void race_traffic(struct kunit *test)
{
	struct race race;

	begin(test, &race, false);
	begin_traffic(test, &race);
	start(test, &race.threads[OTHER_0], reader, race.q, 0);
	msleep(seconds * MSEC_PER_SEC);
	end_traffic(&race);
	race_finish(race.q);
	stop(&race.threads[OTHER_0]);
	end(&race);
	judge(test, race.q);
}

/* A queue can be broken at any time, and nothing gets lost. */
static void race_break(struct kunit *test)
{
	struct race race;

	begin(test, &race, true);
	begin_traffic(test, &race);
	start(test, &race.threads[OTHER_0], breaker, race.q, 0);
	start(test, &race.threads[OTHER_1], reader, race.q, 1);
	msleep(seconds * MSEC_PER_SEC);
	stop(&race.threads[OTHER_0]);
	end_traffic(&race);
	race_finish(race.q);
	stop(&race.threads[OTHER_1]);
	end(&race);
	judge(test, race.q);
}

/* Resets, those that fail too, while interrupts arrive. */
static void reset(struct kunit *test, bool resize)
{
	unsigned int round, resets = 0;
	unsigned long until;
	struct race race;

	begin(test, &race, false);
	begin_traffic(test, &race);
	start(test, &race.threads[OTHER_0], reader, race.q, 0);
	until = deadline();
	for (round = 0; time_before(jiffies, until) && !race_failed(race.q); round++) {
		struct race_queue *q = race.q;
		u32 num = virtqueue_get_vring_size(q->vq);
		int err;

		usleep_range(1000, 10000);
		num = num == RACE_NUM ? RACE_NUM_LESS : RACE_NUM;
		down_write(&q->quiesce);
		q->fail_reset = round % 4 == 3;
		if (resize)
			err = virtqueue_resize(q->vq, num, race_recycle, NULL);
		else
			err = virtqueue_reset(q->vq, race_recycle, NULL);
		if (err != (q->fail_reset ? -EIO : 0))
			race_fail(q, "resetting returned %d", err);
		if (!err) {
			resets++;
			if (q->in_flight)
				race_fail(q, "%u requests are lost",
					  q->in_flight);
		}
		up_write(&q->quiesce);
		/* There may be nothing left that an interrupt could tell of. */
		atomic_inc(&q->events);
		wake_up(&q->wq);
	}
	end_traffic(&race);
	race_finish(race.q);
	stop(&race.threads[OTHER_0]);
	end(&race);
	judge(test, race.q);
	KUNIT_EXPECT_GT(test, resets, seconds);
}

static void race_reset(struct kunit *test)
{
	reset(test, false);
}

static void race_resize(struct kunit *test)
{
	reset(test, true);
}

/* A queue goes while interrupts arrive and somebody breaks the device. */
static void race_remove(struct kunit *test)
{
	unsigned long until = deadline();
	struct race race;
	int i;

	do {
		begin(test, &race, true);
		begin_traffic(test, &race);
		start(test, &race.threads[OTHER_0], breaker, race.q, 0);
		usleep_range(1000, 10000);
		end_traffic(&race);
		end(&race);
		for (i = 0; i < RACE_REQS; i++)
			race.q->reqs[i].busy = false;
		race.q->in_flight = 0;
	} while (time_before(jiffies, until));
	judge(test, race.q);
}

/* -- callbacks disabled at the worst moment ----------------------------------- */

struct disabling {
	struct race_queue *q;
	atomic_t go;
	atomic_t done;
};

static int disabler(void *data)
{
	struct disabling *d = data;
	int round = 0;

	while (!kthread_should_stop()) {
		if (atomic_read_acquire(&d->go) == round) {
			cond_resched();
			continue;
		}
		round++;
		virtqueue_disable_cb(d->q->vq);
		atomic_set_release(&d->done, round);
	}
	return 0;
}

/*
 * virtqueue_disable_cb() needs no lock: whatever it does beside a call that
 * enables callbacks, the next one enables them.
 */
static void race_enable(struct kunit *test)
{
	unsigned int lost = 0, round, i;
	struct disabling d = { };
	struct task_struct *task;
	unsigned long until;
	struct race race;

	begin(test, &race, false);
	d.q = race.q;
	task = kthread_create(disabler, &d, "vring_race/disable");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, 1);
	wake_up_process(task);
	set_cpus_allowed_ptr(current, cpumask_of(0));

	until = deadline();
	for (round = 1; time_before(jiffies, until); round++) {
		atomic_set_release(&d.go, round);
		for (i = get_random_u32_below(64); i; i--)
			cpu_relax();
		virtqueue_enable_cb(race.q->vq);
		while (atomic_read_acquire(&d.done) != round)
			cond_resched();
		virtqueue_enable_cb(race.q->vq);
		lost += !race_armed(race.q);
	}
	kthread_stop(task);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	end(&race);
	kunit_info(test, "%u rounds", round);
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_GT(test, round, 20 * seconds);
}

static int race_init(struct kunit *test)
{
	struct platform_device *parent;
	struct race_queue *q;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU has no races");
	q = kunit_kzalloc(test, sizeof(*q), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	q->reqs = kunit_kcalloc(test, RACE_REQS, sizeof(*q->reqs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q->reqs);
	spin_lock_init(&q->lock);
	spin_lock_init(&q->hw_lock);
	init_rwsem(&q->quiesce);
	init_waitqueue_head(&q->wq);
	init_waitqueue_head(&q->bell);

	parent = platform_device_register_simple("vring_race", PLATFORM_DEVID_NONE,
						 NULL, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, parent);
	q->parent = &parent->dev;
	test->priv = q;
	return dma_coerce_mask_and_coherent(q->parent, DMA_BIT_MASK(64));
}

static void race_exit(struct kunit *test)
{
	struct race_queue *q = test->priv;

	if (q)
		platform_device_unregister(to_platform_device(q->parent));
}

static struct kunit_case race_tests[] = {
	KUNIT_CASE_PARAM(race_traffic, race_gen_params),
	KUNIT_CASE_PARAM(race_enable, race_gen_params),
	KUNIT_CASE_PARAM(race_break, race_gen_params),
	KUNIT_CASE_PARAM(race_reset, race_gen_params),
	KUNIT_CASE_PARAM(race_resize, race_gen_params),
	KUNIT_CASE_PARAM(race_remove, race_gen_params),
	{ }
};

static struct kunit_suite race_suite = {
	.name = "vring_race",
	.init = race_init,
	.exit = race_exit,
	.test_cases = race_tests,
};

kunit_test_suite(race_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Races that virtio_ring allows");
