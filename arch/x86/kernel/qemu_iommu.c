// SPDX-License-Identifier: GPL-2.0-only
/*
 * The default domain of a guest's devices: passthrough if the guest runs on
 * QEMU and is not a crash kernel.  For the virtio devices that virtio_dma=
 * names, it is what virtio_dma= says.
 */

#define pr_fmt(fmt) "virtio_dma: " fmt

#include <linux/acpi.h>
#include <linux/array_size.h>
#include <linux/cc_platform.h>
#include <linux/cpufeature.h>
#include <linux/crash_dump.h>
#include <linux/ctype.h>
#include <linux/hex.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/kernel.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <uapi/linux/qemu_fw_cfg.h>
#include <uapi/linux/virtio_ids.h>

#include <asm/iommu.h>
#include <asm/kvm_para.h>

#include "qemu_iommu.h"

#define TCG_SIGNATURE		"TCGTCGTCGTCG"

#define FW_CFG_PORT_SELECTOR	0x510
#define FW_CFG_PORT_DATA	0x511

#define VIRTIO_PCI_ID_FIRST	0x1000	/* transitional */
#define VIRTIO_PCI_ID_MODERN	0x1040	/* plus the virtio device ID */
#define VIRTIO_PCI_ID_LAST	0x107f

/* On other machines, these ports may belong to anything: ask CPUID first. */
static bool __init fw_cfg_is_qemu(void)
{
	static const char signature[] __initconst = "QEMU";
	const char *c;

	outw(FW_CFG_SIGNATURE, FW_CFG_PORT_SELECTOR);
	for (c = signature; *c; c++)
		if (inb(FW_CFG_PORT_DATA) != *c)
			return false;
	return true;
}

/*
 * Other device models use KVM too, so ask fw_cfg as well. With Hyper-V
 * enlightenments, KVM's leaves are not the first ones. A confidential guest
 * does not trust its host.
 */
static bool __init guest_on_qemu(void)
{
	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR) ||
	    cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return false;

	if (!on_hypervisor(KVM_SIGNATURE) &&
	    !on_hypervisor(TCG_SIGNATURE))
		return false;

	return fw_cfg_is_qemu();
}

/*
 * A crash kernel finds devices that are active and use addresses of the first
 * kernel. The first kernel's mappings stay in place until the driver maps
 * something, and by then the driver has reset the device. An identity domain
 * would take effect before that, and the device would write to physical memory
 * at these addresses.
 */
unsigned int __init arch_iommu_default_type(const char **reason)
{
	if (!IS_ENABLED(CONFIG_X86_QEMU_IOMMU_PASSTHROUGH) || !guest_on_qemu())
		return 0;

	if (is_kdump_kernel()) {
		*reason = "crash kernel in a QEMU guest";
		return IOMMU_DOMAIN_DMA;
	}

	*reason = "QEMU guest";
	return IOMMU_DOMAIN_IDENTITY;
}

/* The end of QEMU's room for DIMMs and other hot-plugged memory; 0 if none. */
static u64 __init fw_cfg_memory_end(void)
{
	struct fw_cfg_file file;
	__be32 count;
	__le64 end;
	u32 i;

	outw(FW_CFG_FILE_DIR, FW_CFG_PORT_SELECTOR);
	insb(FW_CFG_PORT_DATA, &count, sizeof(count));
	for (i = 0; i < be32_to_cpu(count); i++) {
		insb(FW_CFG_PORT_DATA, &file, sizeof(file));
		if (!strncmp(file.name, "etc/reserved-memory-end",
			     sizeof(file.name)))
			break;
	}
	if (i == be32_to_cpu(count) || be32_to_cpu(file.size) < sizeof(end))
		return 0;

	outw(be16_to_cpu(file.select), FW_CFG_PORT_SELECTOR);
	insb(FW_CFG_PORT_DATA, &end, sizeof(end));
	return le64_to_cpu(end);
}

/* A detected IOMMU, or virtio-iommu, of which only the table is known yet. */
static bool __init iommu_there(void)
{
#ifdef CONFIG_ACPI_VIOT
	struct acpi_table_header *viot;

	if (ACPI_SUCCESS(acpi_get_table(ACPI_SIG_VIOT, 0, &viot))) {
		acpi_put_table(viot);
		return true;
	}
#endif
	return iommu_detected;
}

/**
 * qemu_iommu_needs_swiotlb() - Does passthrough by default need bounce buffers?
 *
 * A device that reaches only 4 GiB needs no bounce buffers if it is translated,
 * because its IOVAs are below 4 GiB. Passed through by default, it needs them
 * as soon as memory beyond 4 GiB is plugged. SRAT says whether such memory may
 * be plugged, but not every kernel reads SRAT.
 *
 * Context: after IOMMUs are detected, before bounce buffers are allocated.
 * Return: true if memory beyond 4 GiB may be plugged, and passthrough is the
 * default because of QEMU and not of the command line.
 */
bool __init qemu_iommu_needs_swiotlb(void)
{
	const char *reason;

	return IS_ENABLED(CONFIG_MEMORY_HOTPLUG) && iommu_there() &&
	       !iommu_default_on_cmd_line() &&
	       arch_iommu_default_type(&reason) == IOMMU_DOMAIN_IDENTITY &&
	       fw_cfg_memory_end() > SZ_4G;
}

/* From the least to the most specific: a better match beats a lesser one. */
enum virtio_dma_match {
	MATCH_NONE,
	MATCH_ALL,
	MATCH_TYPE,
	MATCH_ADDRESS,
};

/**
 * struct virtio_dma_rule - an entry of virtio_dma=
 * @match: what the entry names, never MATCH_NONE
 * @domain: IOMMU_DOMAIN_IDENTITY or IOMMU_DOMAIN_DMA
 * @type: virtio device ID, for MATCH_TYPE
 * @segment: PCI domain, for MATCH_ADDRESS
 * @bus: PCI bus number, for MATCH_ADDRESS
 * @devfn: PCI device and function, for MATCH_ADDRESS
 *
 * Written while early parameters are parsed, and only read later.
 */
struct virtio_dma_rule {
	enum virtio_dma_match match;
	unsigned int domain;
	unsigned int type;
	unsigned int segment;
	unsigned int bus;
	unsigned int devfn;
};

static struct virtio_dma_rule virtio_dma_rules[32] __ro_after_init;
static unsigned int virtio_dma_nr_rules __ro_after_init;

static const char * const virtio_type_names[] __initconst = {
	[VIRTIO_ID_NET]			= "net",
	[VIRTIO_ID_BLOCK]		= "blk",
	[VIRTIO_ID_CONSOLE]		= "console",
	[VIRTIO_ID_RNG]			= "rng",
	[VIRTIO_ID_BALLOON]		= "balloon",
	[VIRTIO_ID_SCSI]		= "scsi",
	[VIRTIO_ID_9P]			= "9p",
	[VIRTIO_ID_GPU]			= "gpu",
	[VIRTIO_ID_INPUT]		= "input",
	[VIRTIO_ID_VSOCK]		= "vsock",
	[VIRTIO_ID_CRYPTO]		= "crypto",
	[VIRTIO_ID_IOMMU]		= "iommu",
	[VIRTIO_ID_MEM]			= "mem",
	[VIRTIO_ID_SOUND]		= "sound",
	[VIRTIO_ID_FS]			= "fs",
	[VIRTIO_ID_PMEM]		= "pmem",
	[VIRTIO_ID_RPMB]		= "rpmb",
	[VIRTIO_ID_VIDEO_ENCODER]	= "video-encoder",
	[VIRTIO_ID_VIDEO_DECODER]	= "video-decoder",
	[VIRTIO_ID_SCMI]		= "scmi",
	[VIRTIO_ID_I2C_ADAPTER]		= "i2c",
	[VIRTIO_ID_CAN]			= "can",
	[VIRTIO_ID_BT]			= "bt",
	[VIRTIO_ID_GPIO]		= "gpio",
};

/* Returns 0, which no virtio device has, if there is no such name. */
static unsigned int __init virtio_type_by_name(const char *name, size_t len)
{
	unsigned int id;

	for (id = 1; id < ARRAY_SIZE(virtio_type_names); id++) {
		const char *known = virtio_type_names[id];

		if (known && strlen(known) == len && !memcmp(known, name, len))
			return id;
	}
	return 0;
}

/*
 * Take 1 to @max hexadecimal digits and @end from *@s: no sign, blank or
 * prefix, which sscanf() would accept.
 */
static bool __init take_hex(const char **s, unsigned int max, char end,
			    unsigned int *value)
{
	const char *c = *s;

	for (*value = 0; max && isxdigit(*c); c++, max--)
		*value = *value << 4 | hex_to_bin(*c);
	if (c == *s || *c != end)
		return false;

	*s = c + 1;
	return true;
}

/* [domain:]bus:device.function in hexadecimal, up to the colon at @end */
static bool __init parse_pci_address(const char *s, const char *end,
				     struct virtio_dma_rule *rule)
{
	const char *bus = s;
	unsigned int dev, fn;

	/* The domain may be left out. */
	if (take_hex(&s, 8, ':', &rule->segment) && strchr(s, ':') != end)
		bus = s;
	else
		rule->segment = 0;

	if (!take_hex(&bus, 2, ':', &rule->bus) ||
	    !take_hex(&bus, 2, '.', &dev) ||
	    !take_hex(&bus, 1, ':', &fn) || bus != end + 1)
		return false;

	rule->devfn = PCI_DEVFN(dev, fn);
	return dev == PCI_SLOT(rule->devfn) && fn == PCI_FUNC(rule->devfn);
}

/* Returns NULL, or what is wrong with @entry. */
static const char * __init parse_rule(const char *entry,
				      struct virtio_dma_rule *rule)
{
	/* An address has colons of its own. */
	const char *colon = strrchr(entry, ':');
	const char *mode = colon ? colon + 1 : entry;
	size_t len = mode == entry ? 0 : colon - entry;

	if (!strcmp(mode, "pt"))
		rule->domain = IOMMU_DOMAIN_IDENTITY;
	else if (!strcmp(mode, "on"))
		rule->domain = IOMMU_DOMAIN_DMA;
	else
		return "does not end in pt or on";

	if (!colon) {
		rule->match = MATCH_ALL;
	} else if (strcspn(entry, ":.") < len) {
		rule->match = MATCH_ADDRESS;
		if (!parse_pci_address(entry, colon, rule))
			return "not a PCI address";
	} else {
		rule->match = MATCH_TYPE;
		rule->type = virtio_type_by_name(entry, len);
		if (!rule->type)
			return "not a known type of virtio device";
	}
	return NULL;
}

static int __init virtio_dma_setup(char *arg)
{
	char *entry;

	if (!arg || !*arg) {
		pr_warn("nothing given, expected [<type|PCI address>:]{pt|on}[,...]\n");
		return 0;
	}

	while ((entry = strsep(&arg, ","))) {
		struct virtio_dma_rule rule = {};
		const char *error = parse_rule(entry, &rule);

		if (!error && virtio_dma_nr_rules == ARRAY_SIZE(virtio_dma_rules))
			error = "too many entries";
		if (error)
			pr_warn("entry \"%s\" ignored: %s\n", entry, error);
		else
			virtio_dma_rules[virtio_dma_nr_rules++] = rule;
	}
	return 0;
}
early_param("virtio_dma", virtio_dma_setup);

/* The virtio device ID of a PCI device, or 0: virtio 1.2, 4.1.2 */
static unsigned int virtio_pci_type(const struct pci_dev *pdev)
{
	if (pdev->vendor != PCI_VENDOR_ID_REDHAT_QUMRANET ||
	    pdev->device < VIRTIO_PCI_ID_FIRST ||
	    pdev->device > VIRTIO_PCI_ID_LAST)
		return 0;

	if (pdev->device < VIRTIO_PCI_ID_MODERN)
		return pdev->subsystem_device;
	return pdev->device - VIRTIO_PCI_ID_MODERN;
}

static enum virtio_dma_match match_rule(const struct virtio_dma_rule *rule,
					struct pci_dev *pdev, unsigned int type)
{
	switch (rule->match) {
	case MATCH_TYPE:
		if (rule->type != type)
			return MATCH_NONE;
		break;
	case MATCH_ADDRESS:
		if (rule->segment != pci_domain_nr(pdev->bus) ||
		    rule->bus != pdev->bus->number ||
		    rule->devfn != pdev->devfn)
			return MATCH_NONE;
		break;
	default:
		break;
	}
	return rule->match;
}

unsigned int arch_iommu_def_domain_type(struct device *dev)
{
	enum virtio_dma_match best = MATCH_NONE;
	unsigned int i, type, domain = 0;
	struct pci_dev *pdev;

	if (!virtio_dma_nr_rules || !dev_is_pci(dev))
		return 0;

	pdev = to_pci_dev(dev);
	type = virtio_pci_type(pdev);

	for (i = 0; i < virtio_dma_nr_rules; i++) {
		const struct virtio_dma_rule *rule = &virtio_dma_rules[i];
		enum virtio_dma_match match = match_rule(rule, pdev, type);

		if (match == MATCH_NONE || match < best)
			continue;
		/* If two entries match equally well, take the safer one */
		if (match > best || rule->domain == IOMMU_DOMAIN_DMA)
			domain = rule->domain;
		best = match;
	}

	if (!type) {
		if (best == MATCH_ADDRESS)
			pci_warn(pdev, "virtio_dma: not a virtio device, entry ignored\n");
		return 0;
	}
	return domain;
}
