// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the cycles in which the one CPU of a guest was not asleep.  Under
 * "qemu -icount shift=0" a cycle is an instruction, so the difference of two
 * reads of
 *
 *	/sys/module/vring_busy/parameters/cycles
 *
 * is what the guest has spent in between.
 *
 * The kernel's own accounts of idle time do not serve.  They have the
 * resolution of a tick, or they count an interrupt that wakes the CPU as idle
 * time, and which of the two depends on the kernel's version.  Here the CPU is
 * asleep from the tracepoint before it halts to the handler of the interrupt
 * that wakes it.  The instructions from the interrupt to its handler are
 * missing, as many for each interrupt.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/timex.h>
#include <linux/tracepoint.h>

#include <trace/events/power.h>

static bool asleep;
static cycles_t since;		/* asleep since then */
static cycles_t slept;		/* in all, before that */

static void wake(void)
{
	if (!READ_ONCE(asleep))
		return;
	slept += get_cycles() - since;
	WRITE_ONCE(asleep, false);
}

static void on_idle(void *data, unsigned int state, unsigned int cpu)
{
	if (state == (unsigned int)PWR_EVENT_EXIT) {
		wake();
		return;
	}
	since = get_cycles();
	WRITE_ONCE(asleep, true);
}

static void on_interrupt(void *data, int irq, void *action)
{
	wake();
}

static void on_timer(void *data, int vector)
{
	wake();
}

static struct probe {
	const char *name;
	void *function;
	struct tracepoint *found;
} probes[] = {
	{ "cpu_idle",		on_idle },
	{ "irq_handler_entry",	on_interrupt },
	{ "local_timer_entry",	on_timer },
};

static void find(struct tracepoint *tp, void *data)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(tp->name, probes[i].name))
			probes[i].found = tp;
}

static void unregister(unsigned int number)
{
	while (number--)
		tracepoint_probe_unregister(probes[number].found,
					    probes[number].function, NULL);
	tracepoint_synchronize_unregister();
}

/* The reader is awake, so no interrupt changes what is read here. */
static int get_cycles_awake(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%llu\n",
			  (unsigned long long)(get_cycles() - slept));
}

static const struct kernel_param_ops cycles_ops = { .get = get_cycles_awake };
module_param_cb(cycles, &cycles_ops, NULL, 0444);
MODULE_PARM_DESC(cycles, "cycles in which the CPU was not asleep");

static int __init vring_busy_init(void)
{
	int err;

	if (num_online_cpus() != 1) {
		pr_err("vring_busy: counts one CPU, not %u: boot with one\n",
		       num_online_cpus());
		return -EINVAL;
	}
	for_each_kernel_tracepoint(find, NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(probes); i++) {
		err = probes[i].found ?
			tracepoint_probe_register(probes[i].found,
						  probes[i].function, NULL) :
			-ENOENT;
		if (err) {
			pr_err("vring_busy: no probe at tracepoint %s: error %d\n",
			       probes[i].name, err);
			unregister(i);
			return err;
		}
	}
	return 0;
}

static void __exit vring_busy_exit(void)
{
	unregister(ARRAY_SIZE(probes));
}

module_init(vring_busy_init);
module_exit(vring_busy_exit);
MODULE_DESCRIPTION("Cycles that the one CPU of a guest has worked");
MODULE_LICENSE("GPL");
