/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of shim.h for what a user sees of a device: IOMMU domains, the
 * device lock, and a file in debugfs.
 */
#ifndef VRING_SHIM_SHOW_H
#define VRING_SHIM_SHOW_H

/* ---- the domain of a device: shim_domain, or as its shim_mode has it ---- */

#define IOMMU_DOMAIN_BLOCKED	0
#define IOMMU_DOMAIN_IDENTITY	1
#define IOMMU_DOMAIN_UNMANAGED	2
#define IOMMU_DOMAIN_DMA	3
#define IOMMU_DOMAIN_DMA_FQ	4

struct iommu_domain { unsigned int type; };

struct iommu_domain *iommu_get_domain_for_dev(struct device *dev);

static inline bool iommu_is_dma_domain(struct iommu_domain *domain)
{
	return domain->type == IOMMU_DOMAIN_DMA || domain->type == IOMMU_DOMAIN_DMA_FQ;
}

/* ---- the lock of a device; it may be slept under ---- */

extern bool shim_signal;	/* a signal is pending */

static inline int device_lock_interruptible(struct device *dev)
{
	if (shim_signal)
		return -EINTR;
	mutex_lock(&dev->mutex);
	return 0;
}

static inline void device_unlock(struct device *dev)
{
	mutex_unlock(&dev->mutex);
}

static inline void device_lock_assert(const struct device *dev)
{
	WARN_ON(!dev->mutex.locked);
}

/* ---- files ---- */

struct seq_file {
	void *private;
	char text[2048];
	size_t len;
};

__printf(2, 3)
void seq_printf(struct seq_file *s, const char *fmt, ...);
#define seq_puts(s, text)	seq_printf(s, "%s", text)
#define seq_putc(s, c)		seq_printf(s, "%c", c)

struct file_operations { int (*show)(struct seq_file *s, void *data); };

#define DEFINE_SHOW_ATTRIBUTE(n) \
	static const struct file_operations n##_fops = { .show = n##_show }

/* The file that was made last, and its content now. */
void debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data,
			 const struct file_operations *fops);
const char *shim_debugfs_read(const char *name, const struct dentry *parent);

#endif
