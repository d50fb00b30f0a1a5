/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How qemu_iommu.c searches the hypervisor leaves of CPUID in this kernel.
 */
#ifndef _X86_KERNEL_QEMU_IOMMU_H
#define _X86_KERNEL_QEMU_IOMMU_H

#include <asm/cpuid.h>

/* Does a hypervisor leaf have the signature? */
static inline bool on_hypervisor(const char *signature)
{
	return hypervisor_cpuid_base(signature, 0);
}

#endif /* _X86_KERNEL_QEMU_IOMMU_H */
