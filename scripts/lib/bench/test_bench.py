#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of how make bench reads what it measured; no kernel, no QEMU."""

import io
import os
import sys
import threading
import types
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

import bench                                                                   # noqa: E402
import qemus                                                                   # noqa: E402
from lib import report                                           # noqa: E402
from lib.bench import figures, iotlb, letter, plan, plot                 # noqa: E402
from lib.bench import guest as bench_guest, turns as bench_turns  # noqa: E402
from lib.bench.plot import Bar, Panel                            # noqa: E402
from tests.system_python import system_python                    # noqa: E402


def terse(name, read=(0, 0, 0, 0), write=(0, 0, 0, 0), error=0):
    """A line of fio's --terse-version=3, empty but for what is given."""
    fields = ["3", "fio-3.33", name, "0", str(error)] + ["0"] * 120
    fields[5:9] = map(str, read)
    fields[46:50] = map(str, write)
    return "fio;" + ";".join(fields)


class Words(unittest.TestCase):
    def test_nothing_said_is_everything(self):
        run = bench.Run(False, bench.words().read([]), mock.Mock())
        self.assertEqual((run.parts, run.iommus), (bench.PARTS, plan.IOMMUS))

    def test_some_of_it_by_another_name(self):
        wish = bench.words().read(["--no-build", "--only=time", "--iommu=amd", "--name=x"])
        self.assertEqual((wish.no_build, wish.only, wish.iommu, wish.name),
                         (True, ["time"], ["amd"], "x"))

    def test_what_is_not_known_is_wrong(self):
        for word in ("--only=tim", "--iommu=arm", "--name=", "time"):
            with mock.patch("sys.stderr", io.StringIO()), self.assertRaises(SystemExit) as end:
                bench.words().read([word])
            self.assertEqual(end.exception.code, 2, word)


class Qemus(unittest.TestCase):
    def test_a_figure_for_each_qemu_that_measured_it(self):
        cell = plan.FEW_CELLS[0]
        us = {"values": [100.0, 300.0], "median": 200.0}
        old = {"time": [{"kernel": k, "mode": "default", "cell": cell, "us": us}
                        for k in ("ours", "stock")]}
        table = qemus.speed_table([old, {"time": []}])
        self.assertEqual(table[0], [plan.NAMES[cell], "ours, default : stock, default",
                                    "1.00 (200, 200)", "-"])


class Fio(unittest.TestCase):
    def test_a_read(self):
        one = bench_guest.parse_fio(terse("randread-4k-1", read=(4000, 8000, 2000, 500)))
        self.assertEqual(one.cell, "randread-4k-1")
        self.assertAlmostEqual(one.seconds, 0.0005)
        self.assertAlmostEqual(one.mb_s, 8.192)

    def test_a_write_of_a_mebibyte(self):
        one = bench_guest.parse_fio(terse("write-1m-1", write=(102400, 204800, 200, 500)))
        self.assertAlmostEqual(one.seconds, 0.005)

    def test_the_job_that_warms_up_is_no_figure(self):
        self.assertIsNone(bench_guest.parse_fio(terse("warm", read=(4, 4, 1, 200))))

    def test_an_error_is_said(self):
        with self.assertRaisesRegex(report.Failure, "read-1m-1 failed with error 5"):
            bench_guest.parse_fio(terse("read-1m-1", error=5))

    def test_a_job_that_did_nothing_is_an_error(self):
        with self.assertRaisesRegex(report.Failure, "did nothing"):
            bench_guest.parse_fio(terse("read-1m-1"))

    def test_another_version_is_an_error(self):
        with self.assertRaisesRegex(report.Failure, "no terse line"):
            bench_guest.parse_fio("fio;5;fio-4;x")


class Output(unittest.TestCase):
    def test_all_kinds_of_lines(self):
        timed, seconds, counts = bench_guest.parse_output([
            "vdma: boot 6.12", "bench: seconds 1.06", "bench: seconds .84",
            terse("randread-4k-1", read=(4000, 8000, 2000, 500)),
            "bench: time rr operations=200 bytes=200 seconds=0.500000",
            "bench: busy rr requests=7 instructions=70",
            "bench: count read-4096-1  maps=1200 unmaps=1199 dma_maps=1200 requests=300"])
        self.assertEqual([t.cell for t in timed], ["randread-4k-1", "rr"])
        self.assertAlmostEqual(timed[1].seconds, 0.0025)
        self.assertEqual(seconds, [1.06, 0.84])
        self.assertEqual(counts, {
            "rr": {"requests": 7, "instructions": 70},
            "read-4096-1": {"maps": 1200, "unmaps": 1199, "dma_maps": 1200, "requests": 300}})

    def test_virtio_iommus_own_calls_are_left_out(self):
        merged = bench_guest.merge(
            {"requests": 10}, {"maps": 40, "dma_maps": 280, "requests": 10}, "virtio")
        self.assertEqual(merged, {"requests": 10, "maps": 40, "guest_requests": 10})


class Module(unittest.TestCase):
    CASE = ("[    0.53] vring_bench: layout=split access=1 segments=4 bytes=4096 add=1193 add_max=1200"
            " get=555 get_max=560 descriptors=1")

    def test_cases(self):
        cases = bench_guest.parse_module(
            ["[    0.5] vring_bench: loading out-of-tree module taints kernel.",
             "[    0.5] vring_bench: calibration per_1000=2001 pair=4", self.CASE])
        self.assertEqual(cases, [{"layout": "split", "access": 1, "segments": 4, "bytes": 4096,
                                  "add": 1193, "add_max": 1200, "get": 555, "get_max": 560,
                                  "descriptors": 1}])

    def test_a_clock_that_does_not_count_is_an_error(self):
        with self.assertRaisesRegex(report.Failure, "does not count"):
            bench_guest.parse_module(["vring_bench: calibration per_1000=4711 pair=90", self.CASE])

    def test_failure_and_silence_are_errors(self):
        with self.assertRaisesRegex(report.Failure, "failed: -12"):
            bench_guest.parse_module(["[ 0.5] vring_bench: failed: -12"])
        with self.assertRaisesRegex(report.Failure, "said nothing"):
            bench_guest.parse_module([])


class Trace(unittest.TestCase):
    def test_intel(self):
        lines = ["virtqueue_pop vq 0x1 elem 0x2 in_num 2 out_num 1",
                 "vtd_iotlb_page_update IOTLB page update sid 0x10 iova 0x1",
                 "virtqueue_fill vq 0x1 elem 0x2 len 4097 idx 0",
                 "vtd_inv_desc_iotlb_pages iotlb invalidate pages addr 0x1",
                 "4711@1700000000.5:vtd_inv_desc_iotlb_domain iotlb invalidate domain 0x2",
                 "vtd_inv_desc_iotlb_pasid_pages is another's",
                 "virtio_queue_notify vdev 0x5 n 0 vq 0x1",
                 "virtio_queue_notify vdev 0x5 n 0 vq 0x1",
                 "virtio_notify vdev 0x5 vq 0x1"]
        self.assertEqual(bench_guest.parse_trace(lines, "intel", False),
                         {"requests": 1, "vectors": 3, "invalidations": 2, "iotlb_misses": 1,
                          "notifications": 2, "interrupts": 1})

    def test_the_guest_counts_what_the_trace_would_disturb(self):
        self.assertEqual(bench_guest.events_of("intel", "rr"), plan.NOTIFICATIONS)
        seen = bench_guest.parse_trace(["virtio_notify vdev 0x5 vq 0x1"], "intel", False)
        merged = bench_guest.merge(seen, {"dma_maps": 3, "requests": 7}, "intel")
        self.assertEqual((merged["requests"], merged["interrupts"]), (7, 1))

    def test_of_packets_sent_those_that_arrive_do_not_count(self):
        lines = ["virtqueue_fill vq 0x1 elem 0x2 len 0 idx 0",
                 "virtqueue_fill vq 0x9 elem 0x3 len 60 idx 0"]
        self.assertEqual(bench_guest.parse_trace(lines, "amd", True)["requests"], 1)

    def test_the_queue_of_virtio_iommu_is_no_request(self):
        lines = ["virtqueue_pop vq 0x7 elem 0x2 in_num 1 out_num 1",
                 "virtio_iommu_map domain=1 virt_start=0x1",
                 "virtqueue_fill vq 0x7 elem 0x2 len 4 idx 0",
                 "virtqueue_pop vq 0x1 elem 0x2 in_num 2 out_num 1",
                 "virtqueue_fill vq 0x1 elem 0x2 len 4097 idx 0",
                 "virtqueue_pop vq 0x7 elem 0x2 in_num 1 out_num 1",
                 "virtio_iommu_unmap domain=1 virt_start=0x1",
                 "virtqueue_fill vq 0x7 elem 0x2 len 4 idx 0"]
        self.assertEqual(bench_guest.parse_trace(lines, "virtio", False),
                         {"requests": 1, "vectors": 3, "invalidations": 1,
                          "iotlb_misses": None, "notifications": 0, "interrupts": 0})


class Turns(unittest.TestCase):
    A, B = ("a", ["dd", "x", "y", "x", "y"]), ("b", ["x", "x"])

    def test_a_label_at_a_time_and_nobody_first_always(self):
        self.assertEqual(bench_turns.plan([self.A, self.B], 0), [
            ("dd", "a"), ("x", "b"), ("x", "a"), ("y", "a"), ("x", "b"), ("x", "a"), ("y", "a")])
        self.assertEqual(bench_turns.plan([self.A, self.B], 1)[:3],
                         [("dd", "a"), ("x", "a"), ("x", "b")])
        self.assertEqual(bench_turns.plan([("a", [])], 0), [])

    def test_slices_that_do_not_fit_are_an_error(self):
        with self.assertRaises(report.Failure):
            bench_turns.plan([self.A, ("b", ["x", "z"])], 0)

    def test_the_steps_of_a_guest_as_slices(self):
        self.assertEqual(
            bench_guest.slices(["dd:2:5000", "time:300:2:both,read-1m-1,rr",
                                "count:send-1514:300"]),
            ["dd", "dd", "read-1m-1", "read-1m-1", "both", "rr", "both", "rr"])

    def test_one_after_the_other_when_all_are_up(self):
        turns = bench_turns.Turns(bench_turns.plan([self.A, self.B], 0), "abc")
        seen = []

        def guest(key, labels):
            for label in labels:
                turns.take(key, label)
                seen.append((label, key))
                turns.give(key, label)
            turns.over(key)
            seen.append(("over", key))

        threads = [threading.Thread(target=guest, args=args)
                   for args in (self.A, self.B)]
        for thread in threads:
            thread.start()
        self.assertEqual(seen, [])      # there is a third one
        turns.over("c")
        for thread in threads:
            thread.join()
        self.assertEqual(seen[:-2], turns.slices)
        self.assertEqual(sorted(seen[-2:]), [("over", "a"), ("over", "b")])

    def test_nobody_waits_for_a_guest_that_is_gone(self):
        turns = bench_turns.Turns([("x", "a"), ("x", "b")], "ab")
        turns.leave("a")
        self.assertEqual(turns.broken, "a")
        for wait in (lambda: turns.take("b", "x"), lambda: turns.over("b")):
            with self.assertRaises(report.Failure):
                wait()

    def test_who_had_all_turns_may_go(self):
        turns = bench_turns.Turns([("x", "a")], "ab")
        turns.arrived.update("ab")
        with self.assertRaises(report.Failure):
            turns.give("b", "x")
        turns.take("a", "x")
        turns.give("a", "x")
        turns.leave("a")
        turns.over("b")
        self.assertIsNone(turns.broken)


class Figures(unittest.TestCase):
    def test_runs_that_followed_one_another_are_compared(self):
        quiet_then_not = [figures.spread(v) for v in ([1, 9, 30], [2, 10, 20])]
        self.assertEqual(figures.ratio(*quiet_then_not), 0.9)
        fewer = figures.spread([4])
        self.assertEqual(figures.ratio(fewer, quiet_then_not[1]), 0.4)
        self.assertIsNone(figures.ratio(fewer, figures.spread([0])))

    def test_per_request(self):
        one = figures.per_request({"requests": 300, "maps": 1200, "iotlb_misses": None,
                                         "descriptors": 900})
        self.assertEqual((one["maps"], one["descriptors"]), (4, 3))
        self.assertIsNone(one["iotlb_misses"])
        self.assertIsNone(one["invalidations"])

    def test_stocks_descriptors_are_what_it_maps(self):
        counted = {("intel", "stock", "pt", "c"):
                   {"descriptors": None, "maps": 0, "dma_maps": 4},
                   ("virtio", "stock", "strict", "c"):
                   {"descriptors": None, "maps": 4, "dma_maps": None},
                   ("intel", "ours", "strict", "c"):
                   {"descriptors": 2, "maps": 1, "dma_maps": 1}}
        figures.add_descriptors(counted)
        self.assertEqual([one["descriptors"] for one in counted.values()], [4, 4, 2])

    def test_instructions_of_a_mode_of_ours_alone_have_stocks_of_the_mode_it_is_of(self):
        case = {"layout": "split", "segments": 1, "bytes": 256, "add": 10, "get": 5,
                "add_max": 11, "get_max": 6}
        cases = figures.gather_instructions(
            [("stock", "strict", {**case, "add": 20}),
             ("ours", "strict, bounce_max=0", case)])
        one = cases["strict, bounce_max=0", "split", 1, 256]
        self.assertEqual((one["ours"]["both"], one["stock"]["both"]), (15, 25))

    def test_numbers(self):
        self.assertEqual([figures.number(n) for n in (None, 4, 131.04, 15355.2)],
                         ["-", "4.00", "131.0", "15,355"])


class Letter(unittest.TestCase):
    """The block of text for a mail."""

    def test_ours_is_divided_by_stocks_and_what_was_not_measured_is_left_out(self):
        busy = {("none", kernel, "bounced", cell): {"instructions": n}
                for kernel, n in (("ours", 10), ("stock", 20))
                for cell, _ in plan.BUSY_CELLS}
        cases = {("strict", "split", 1, 256): {"ours": {"both": 1}, "stock": {"both": 4}},
                 ("lazy", "split", 1, 256): {"ours": {"both": 1}}}
        counted = {("intel", "stock", "strict", "read-4096-1"): {"invalidations": 4.0}}
        us = {("none", kernel, "bounced", "rr"): {"us": figures.spread([n])}
              for kernel, n in (("ours", 3), ("stock", 4))}
        said = letter.text("about", us, counted, busy, cases)
        lines = [" ".join(line.split()) for line in said.splitlines()]
        self.assertEqual(lines[0], "about")
        for line in ("strict, split 0.25", "none, bounced" + " 0.50" * len(plan.BUSY_CELLS),
                     "strict, stock 4.00 - - -", "none, bounced 0.75"):
            self.assertIn(line, lines)
        self.assertNotIn("lazy", said)
        self.assertLessEqual(max(map(len, said.splitlines())), 75)
        self.assertEqual(len(letter.text("about", {}, {}, {}, {}).splitlines()), 2)


class Plan(unittest.TestCase):
    def test_every_row_has_parameters_and_every_cell_a_name(self):
        for quick in (False, True):
            for row in plan.rows(quick):
                self.assertIn((row.kernel, row.mode), plan.APPEND)
                for cell in [*row.cells, *(cell for cell, _ in row.counts)]:
                    self.assertIn(cell, plan.NAMES)

    def test_the_acceptance_is_measured_in_both_runs(self):
        for quick in (False, True):
            cells = {(r.iommu, r.kernel, r.mode, c) for r in plan.rows(quick)
                     for c in r.cells}
            for iommu in plan.IOMMU_NAMES:
                for cell in ("randread-4k-1", "read-1m-1"):
                    for kernel, mode in (("ours", "strict"), ("stock", "pt")) \
                            if iommu != "none" else (("ours", "physical"), ("stock", "physical"),
                                                     ("ours", "bounced"), ("stock", "bounced")):
                        self.assertIn((iommu, kernel, mode, cell), cells)

    def test_the_whole_guest_is_counted_behind_those_that_are_asked_for(self):
        self.assertEqual(plan.busy_rows(("none",)), [
            ("none", "ours", "physical"), ("none", "stock", "physical"),
            ("none", "ours", "bounced"), ("none", "stock", "bounced")])
        self.assertEqual(plan.busy_rows(("amd", "virtio")), [])

    def test_the_whole_guest_is_the_median_of_its_boots(self):
        said = [iter(n) for n in ([7, 70, 20], [90, 30, 60])]   # of ours, of stock

        def boot(guests):
            self.assertEqual(len({g.name for g in guests}), 6)
            return [types.SimpleNamespace(output=[
                "bench: busy rr requests=10 instructions=%d" % next(said[i % 2])])
                    for i in range(len(guests))]

        with mock.patch.object(bench_guest.vm, "boot_all", boot), \
                mock.patch.object(bench_guest.vm, "_built", lambda name, *_: name), \
                mock.patch.object(plan, "BUSY", [("none", "physical")]), \
                mock.patch.object(bench_guest, "checked", lambda _, result: result), \
                mock.patch.object(bench_guest.vm, "Guest", lambda **k: types.SimpleNamespace(**k)):
            found = bench_guest.busy(("none",), 3, mock.Mock())
        self.assertEqual({k[1]: v["instructions"] for k, v in found.items()},
                         {"ours": 2.0, "stock": 6.0})

    def test_only_the_physical_have_no_access_platform(self):
        for access in (False, True):
            found = bench_guest.machine("none", True, access).devices
            self.assertEqual([device.access for device in found], [access] * 4)


class Plot(unittest.TestCase):
    def drawn(self, bars, **words):
        """The axes of two panels of the same bars, and their legends."""
        groups = list(dict.fromkeys(group for _, group in bars))
        panels = [Panel("t", "y", groups, {"s": "#000000"}, bars, **words) for _ in "ab"]
        figure = plot.figure("title", panels)
        with io.BytesIO() as out:
            figure.savefig(out, format="svg")
        return figure

    @system_python("matplotlib")
    def test_zero_has_no_bar_on_a_logarithmic_axis_but_a_label(self):
        axes = self.drawn({("s", "g"): Bar(0, label="0.0")}, log=True).axes[0]
        self.assertEqual(axes.patches[0].get_height(), plot.LOG_FLOOR)
        self.assertEqual([text.get_text() for text in axes.texts], ["0.0"])

    @system_python("matplotlib")
    def test_a_label_does_not_lie_on_the_line(self):
        values = [n / 20 for n in range(2, 24)]
        for top in (1.1, 2.5):
            axes = self.drawn({("s", str(v)): Bar(v, label="x\n(1)") for v in [*values, top]},
                              line=(1, "stock")).axes[0]
            line = axes.transData.transform((0, 1))[1]
            for value, text in zip(values, axes.texts):
                box = text.get_window_extent()
                self.assertFalse(box.y0 <= line <= box.y1, (value, top))

    @system_python("matplotlib")
    def test_there_is_one_legend_for_all_panels(self):
        figure = self.drawn({("s", "g"): Bar(1), ("s", "h"): Bar(2)}, line=(1, "stock"))
        self.assertEqual([[text.get_text() for text in legend.get_texts()]
                          for legend in figure.legends], [["stock", "s"]])
        self.assertEqual([axes.get_legend() for axes in figure.axes], [None, None])

    def test_bars_of_what_bench_json_has(self):
        panel, = plot.instruction_panels({("strict", "split", 1, 256): {
            "ours": {"both": 50}, "stock": {"both": 100}}})
        self.assertEqual(panel.bars, {
            ("split ring", "1 × 256 B"): Bar(0.5, label="0.50\n(50 : 100)")})


class Iotlb(unittest.TestCase):
    MISS = ["4711@1700000000.5:vhost_iotlb_miss 0x55 step 1",
            "vhost_user_write req:22 flags:0x9", "vhost_iotlb_miss 0x55 step 2"]
    UNMAP = ["vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x2 addr 0x1 mask 0x0",
             "vhost_user_write req:22 flags:0x9", "vhost_user_write req:11 flags:0x1"]

    def test_an_answer_is_no_invalidation_and_another_message_is_nothing(self):
        self.assertEqual(iotlb.parse_trace(2 * self.MISS + self.UNMAP), {
            "misses": 2, "invalidations_sent": 1, "invalidations": 1})

    def test_a_miss_that_nobody_answers_is_an_error(self):
        with self.assertRaisesRegex(report.Failure, "answered 1 of the 2"):
            iotlb.parse_trace(self.MISS + self.MISS[:1])

    def test_ours_with_a_parameter_stands_beside_what_stock_does_without(self):
        one = dict.fromkeys(iotlb.FIGURES, 0.0)
        _, rows = iotlb.table({
            ("ours", "strict, bounce_max=0", "echo-60"): one,
            ("stock", "strict", "echo-60"): {**one, "misses": 4.0}})
        self.assertEqual(rows[0][:4], ["packet of 46 bytes", "strict, bounce_max=0",
                                       "0.00", "4.00"])


if __name__ == "__main__":
    unittest.main()
