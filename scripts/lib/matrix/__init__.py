# SPDX-License-Identifier: GPL-2.0-only
"""Every way to wire a device: which boots, what they must show, reports."""
