// SPDX-License-Identifier: GPL-2.0-only
/// Only dma.c of virtio_ring, with map.h and map.c that say how this kernel maps, calls
/// the DMA API and knows addresses.
/// This finds every use of either, called or not, in the files it is given;
/// scripts/check.sh gives it all files but those, and there must be none.
///
/// The ring's own functions are named vring_*, so that a name decides.
//
// Usage: spatch -D report --no-includes --cocci-file scripts/dma-api.cocci FILE...
//
// Confidence: High
// Options: --no-includes

virtual report

@dma@
identifier f =~ "^(dma_(map|unmap|mapping|alloc|free|sync|mmap|vmap|vunmap|get|set|need|max|opt|can|coerce|direct|common|iommu|pci|addressing)_.+|dma_(supported|capable)|dmam_.+|get_dma_ops|set_dma_ops|sg_dma_.+)$";
position p;
@@

 f@p

@phys@
identifier f =~ "^(virt_to_phys|phys_to_virt|__pa|__va|sg_phys|page_to_phys|phys_to_page|page_to_pfn|pfn_to_page|phys_to_dma|dma_to_phys|virt_to_bus|bus_to_virt|isa_virt_to_bus|virt_to_pfn|slow_virt_to_phys|vmalloc_to_pfn|pfn_to_phys|PFN_PHYS)$";
position p;
@@

 f@p

@script:python depends on report@
p << dma.p;
f << dma.f;
@@

coccilib.report.print_report(p[0], "DMA API outside dma.c: " + f)

@script:python depends on report@
p << phys.p;
f << phys.f;
@@

coccilib.report.print_report(p[0], "physical address outside dma.c: " + f)
