# SPDX-License-Identifier: GPL-2.0-only
"""The boots of make matrix: those that scripts/matrix.toml writes out, and those
that are made of its factors until every two levels that may meet have met."""

import itertools
import random
import re
from dataclasses import dataclass, field

from lib import report
from lib.guest.expect import Expect
from lib.guest.machine import KINDS, NOT_VIRTIO, Device, Machine, devices_of, edu

# What VFIO has: some device that no driver of the guest claims.
EDU, EDU_PCI = "edu", "0000:00:18.0"

# Where things are on the root bus of a covering boot: slots from FIRST_SLOT,
# functions of one device, the root ports from FIRST_PORT.
FIRST_SLOT, FUNCTIONS, FIRST_PORT = 2, 0x10, 0x11


@dataclass
class Row:
    """What one device of a boot must show.  seen: whether QEMU's trace says that
    its DMA is translated, None where it does not tell."""
    device: str
    text: str
    iommu: str
    expect: Expect
    seen: object = None


@dataclass
class Boot:
    """kernel: ours, stock or modular.  vdpa: kinds of simulators that the guest makes.
    refused: what QEMU says if it cannot have this boot.  undone: what comes of it with
    versions of QEMU that do not say so, by the version.  beside: a disk that bypasses
    the IOMMU, and one that does not, to be counted beside each other.
    levels: those of the factors, if it is a covering boot, and those of its devices
    by their id.  twin: the boot of the stock kernel to be put beside it.  log: a line that
    the kernel's log must have, by default the one that its parameters ask for."""
    name: str
    kernel: str
    machine: Machine
    append: str = ""
    rows: list = field(default_factory=list)
    vfio: bool = False
    vdpa: tuple = ()
    refused: str = ""
    undone: dict = field(default_factory=dict)
    beside: tuple = ()
    slow: bool = False
    levels: dict = field(default_factory=dict)
    device_levels: dict = field(default_factory=dict)
    twin: object = None
    log: object = None

    def flavour(self):
        """What kernel.sh calls the kernel, with the drivers of the rarer devices where
        there is one."""
        if any({"rare", "bits"}.intersection(d.known()) for d in self.machine.devices):
            return {"ours": "devices", "stock": "devices-stock"}[self.kernel]
        return self.kernel

    def not_virtio(self):
        """The addresses of devices that are none of virtio."""
        return [d.pci() for d in self.machine.devices if d.kind in NOT_VIRTIO]

    def words(self):
        """What a pattern may match."""
        return [self.name, self.append] + ["%s %s" % (r.device, r.text) for r in self.rows]


# --- the promise ----------------------------------------------------------

SEEN = {"-": None, "translated": True, "untranslated": False}


def promise(table):
    """The boots that are written out."""
    boots = []
    for name, entry in table["boot"].items():
        machine = Machine(entry["iommu"], devices_of(table, entry["devices"]),
                          default_bus_bypass=entry.get("root_bypass", False),
                          memory=entry.get("memory", Machine.memory),
                          iommu_options=entry.get("iommu_options", ""))
        if entry.get("vfio"):
            machine.extra = edu(EDU_PCI)
            machine.one_thread = True
        boots.append(Boot(
            name, entry.get("kernel", "ours"), machine, entry.get("append", ""),
            [Row(device, text, iommu, Expect(group, access), SEEN[seen])
             for device, text, iommu, group, access, seen in entry["rows"]],
            entry.get("vfio", False), tuple(entry.get("vdpa", ())),
            entry.get("refused", ""), entry.get("undone", {}), tuple(entry.get("beside", ())),
            slow=entry.get("slow", False)))
    return boots


# --- the covering ---------------------------------------------------------

def _means(word, level):
    """Whether a word of a constraint means the level."""
    if isinstance(word, list):
        return any(_means(w, level) for w in word)
    return level != word[1:] if word.startswith("!") else level == word


class Factors:
    """The factors of the covering design and what of them cannot be together."""

    def __init__(self, table):
        design = table["covering"]
        self.seed, self.most = design["seed"], design["devices"]
        self.machine = design["machine"]
        self.device = design["device"]
        self.all = {**self.machine, **self.device}
        # (factor, level): what must not be there with it, each a reason and the
        # other factors with the levels of them that are meant.
        self.against = {(f, v): [] for f, levels in self.all.items() for v in levels}
        for never in design["never"]:
            for one in never["any"]:
                self._never(never["why"], one)
        self.hiding = {(f, v) for one in design["hides"] for f, words in one.items()
                       for v in self.all[f] if _means(words, v)}
        self.asks, self.asked = design["asks"], design["asked"]
        # What most is said of is chosen first: so few choices are in vain.
        self.order = sorted(self.all, key=lambda f: -sum(
            len(self.against[f, v]) for v in self.all[f]))

    def _never(self, why, one):
        meant = {}
        for factor, words in one.items():
            known = self.all.get(factor)
            for word in words if isinstance(words, list) else [words]:
                if known is None or word.removeprefix("!") not in known:
                    raise report.Failure("%s/scripts/matrix.toml: %s = %s in \"%s\" is no level"
                                         % (report.ROOT, factor, word, why))
            meant[factor] = {v for v in known if _means(words, v)}
        for factor, levels in meant.items():
            others = [(f, v) for f, v in meant.items() if f != factor]
            for level in levels:
                self.against[factor, level].append((why, others))

    def forbids(self, levels, factor, level):
        """Why the level cannot be added to levels, which may be of few factors."""
        for why, others in self.against[factor, level]:
            if all(levels.get(f) in meant for f, meant in others):
                return why
        return None

    def forbidden(self, levels):
        """Why these levels, not necessarily of all factors, cannot be together."""
        for factor, level in levels.items():
            why = self.forbids(levels, factor, level)
            if why:
                return why
        return None

    def complete(self, levels, factors, order=None):
        """Levels of all the factors that are allowed and have these among them, or
        None: what is found first if each factor tries its levels in the order that
        order() gives them."""
        if self.forbidden(levels):
            return None
        return self._complete(levels, [f for f in self.order if f in factors and f not in levels],
                              order)

    def _complete(self, levels, left, order):
        if not left:
            return levels
        factor = left[0]
        ways = self.all[factor]
        for level in order(factor, ways) if order else ways:
            if not self.forbids(levels, factor, level):
                found = self._complete({**levels, factor: level}, left[1:], order)
                if found:
                    return found
        return None

    def pairs(self):
        """All that must meet: frozenset of two (factor, level) -> the levels to meet
        with: these two, and if a device has to ask for what they are, that it does.
        A pair that no allowed whole contains is not among them."""
        if not hasattr(self, "_pairs"):
            self._pairs = {}
            for (f, g) in itertools.combinations(self.all, 2):
                for a, b in itertools.product(self.all[f], self.all[g]):
                    plain = {f: a, g: b}
                    ways = [plain]
                    if f in self.asked and g in self.device and g not in self.asks:
                        ways.insert(0, {**plain, **self.asks})
                    for way in ways:
                        if self.complete(way, self.all, self.plainly):
                            self._pairs[frozenset(plain.items())] = way
                            break
        return self._pairs

    def plainly(self, factor, ways):
        """An order for complete(): what hides comes last."""
        return sorted(ways, key=lambda level: (factor, level) in self.hiding)

    def of(self, levels):
        """The pairs that meet in these levels: where one hides what the others do,
        only its own, and where nobody asks, only those that cannot be asked for."""
        hiding = self.hiding.intersection(levels.items())
        met = {frozenset(pair) for pair in itertools.combinations(levels.items(), 2)
               if not hiding or hiding.intersection(pair)}
        return {pair for pair in met
                if self.pairs().get(pair, {}).items() <= levels.items()}


def cover(factors):
    """[(levels of a machine, [levels of its devices])]: every pair of factors.pairs()
    is in one of them.  The same on each call."""
    chance = random.Random(factors.seed)

    def mixed(factor, ways):
        return factors.plainly(factor, chance.sample(ways, len(ways)))

    left = set(factors.pairs())
    boots = []
    # First the boots, so that all that is chosen for a machine has met ...
    machines = {p for p in left if all(f in factors.machine for f, _ in p)}
    while machines:
        best, gain = None, -1
        for pair in sorted(map(sorted, machines))[:6]:
            for _ in range(8):
                levels = factors.complete(dict(pair), factors.machine, mixed)
                new = len(machines & factors.of(levels))
                if new > gain:
                    best, gain = levels, new
        boots.append(({f: best[f] for f in factors.machine}, []))
        machines -= factors.of(best)
    # ... then devices for them, and more boots if there is no room.
    while left:
        before = len(left)
        for machine, devices in boots:
            if len(devices) < factors.most:
                device = _best_device(factors, machine, devices, left, chance)
                if device:
                    devices.append(device)
                    left -= factors.of({**machine, **device})
        if len(left) == before:
            pair = min(left, key=sorted)
            levels = factors.complete(factors.pairs()[pair], factors.all, mixed)
            boots.append(({f: levels[f] for f in factors.machine}, []))
            boots[-1][1].append({f: levels[f] for f in factors.device})
            left -= factors.of(levels)
    # An empty machine shows nothing: give it one device at least.
    for machine, devices in boots:
        while len(devices) < 2:
            levels = factors.complete(machine, factors.all, mixed)
            device = {f: levels[f] for f in factors.device}
            if not _taken(device, devices):
                devices.append(device)
    boots.sort(key=lambda b: list(b[0].values()))
    return boots


def _taken(device, devices):
    return "single" in KINDS[device["kind"]] and \
        any(d["kind"] == device["kind"] for d in devices)


def _best_device(factors, machine, devices, left, chance):
    """The levels of a device for this boot that meet the most of what has not met."""
    best, gain = None, 0
    for _ in range(12):
        def order(factor, ways, far=chance.random() < 0.7):
            ways = factors.plainly(factor, chance.sample(ways, len(ways)))
            if far:     # those first that still miss somebody here
                ways.sort(key=lambda level: -sum(
                    frozenset([(factor, level), other]) in left for other in machine.items()))
            return ways
        levels = factors.complete(machine, factors.all, order)
        if not levels:
            return None
        device = {f: levels[f] for f in factors.device}
        new = len(left & factors.of(levels))
        if new > gain and not _taken(device, devices):
            best, gain = device, new
    return best


def _words(table, levels, *factors):
    """QEMU's words for levels of some factors."""
    return [word for factor in factors for level, word in table[factor].items()
            if levels[factor] == level]


def _options(table, levels, machine):
    """QEMU's words for levels that have no field of their own in Device."""
    words = _words(table, levels, "indirect", "event_idx")
    if levels["size"] != "-":
        words.append("%s=%s" % (KINDS[levels["kind"]]["size"][0], levels["size"]))
    if levels["queues"] != "-":
        words.append("mq=on" if levels["kind"] == "net" else "%s=%s" % (
            KINDS[levels["kind"]]["queues"][0], levels["queues"]))
        if levels["kind"] == "net" and levels["vectors"] == "-" and levels["place"] != "mmio":
            words.append("vectors=%d" % (2 * int(levels["queues"]) + 2))
    if levels["kind"] == "balloon":
        words.append("free-page-reporting=on")
    if levels["vectors"] != "-":
        words.append("vectors=" + levels["vectors"])
    if machine["ats"] == "on" and levels["access"] == "on" and levels["place"] != "bridge":
        words.append("ats=on")
    return words


def place(devices):
    """Give the devices of a covering boot their places, where the guest's firmware
    will give them their addresses: it numbers buses in the order of the slots."""
    slot, port, number, function, bridge = FIRST_SLOT, FIRST_PORT, 0, 0, 0
    if any(d.bus == "bridge" for d in devices):
        bridge, port, number = port, port + 1, 2
    mmio = 0
    for device in devices:
        if device.bus == "function":
            device.bus, device.slot, device.function = "pcie.0", FUNCTIONS, function
            if not function:
                device.options = ",".join(filter(None, [device.options, "multifunction=on"]))
            function += 1
        elif device.bus == "pcie.0":
            device.slot, slot = slot, slot + 1
        elif device.bus == "port":
            number += 1
            device.port, device.number, port = port, number, port + 1
        elif device.bus == "mmio":
            device.slot, mmio = mmio, mmio + 1
    return bridge


def covering(table):
    """The boots of the covering design; rows are given to them by matrix_expect."""
    factors, boots, words = Factors(table), [], table["covering"]["words"]
    for number, (levels, chosen) in enumerate(cover(factors), 1):
        made, by_id = [], {}
        for one in chosen:
            id_ = "%s%d" % (one["kind"].replace("9p", "plan9-"),   # QEMU wants a letter first
                            sum(d.kind == one["kind"] for d in made))
            by_id[id_] = one
            made.append(Device(
                one["kind"], id_, access=one["access"] == "on", mode=one["mode"],
                packed=one["ring"] == "packed", bus=one["place"],
                tap=(one["kind"], one["queues"]) == ("net", "2"),
                queues=2 if (one["kind"], one["queues"]) == ("net", "2") else 1,
                options=",".join(_options(words, one, levels))))
        bridge = place(made)
        options = [] if levels["iommu"] != "intel" else _words(
            words, levels, "caching", "intremap", "width", "ats", "scalable")
        machine = Machine(levels["iommu"], made, levels["root"] == "bypasses",
                          board=levels["board"], iommu_options=",".join(options), bridge=bridge)
        append = levels["parameters"].replace("-", "", 1) \
            if levels["parameters"] == "-" else levels["parameters"]
        boots.append(Boot("c%02d" % number, "ours", machine, append, levels=levels,
                          device_levels=by_id))
    return boots


def slice_of(boots):
    """Some of the covering boots: few, with every level of every factor in them."""
    left = {level for boot in boots for level in levels_of(boot)}
    found = []
    while left:
        best = max(boots, key=lambda b: len(left & levels_of(b)))
        found.append(best)
        left -= levels_of(best)
    return found


def levels_of(boot):
    return {level for one in [boot.levels, *boot.device_levels.values()]
            for level in one.items()}


# --- stock beside ours ----------------------------------------------------

# What the unmodified kernel does not know, and so makes no difference to it.
UNKNOWN_TO_STOCK = re.compile(r"\b(virtio_dma=\S+|iommu=on)( |$)")


def twins(boots):
    """Give each boot of our kernel the same boot of the stock kernel; those that are
    the same but for what stock does not know are one.  Returns the new ones."""
    known = {_same(b): b for b in boots if b.kernel == "stock"}
    new = []
    for boot in boots:
        if boot.kernel == "stock":
            continue
        key = _same(boot)
        if key not in known:
            known[key] = Boot(boot.name + "-stock", "stock", boot.machine, boot.append,
                              vfio=boot.vfio, vdpa=boot.vdpa, refused=boot.refused,
                              undone=boot.undone)
            new.append(known[key])
        boot.twin = known[key]
    return new


def _same(boot):
    append = UNKNOWN_TO_STOCK.sub("", boot.append).strip()
    return (tuple(boot.machine.arguments()), tuple(repr(d) for d in boot.machine.devices),
            append, boot.vfio, boot.vdpa)
