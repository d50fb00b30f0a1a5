# SPDX-License-Identifier: GPL-2.0-only
"""The patch series: how it is laid out, written, applied and taken back."""
