# SPDX-License-Identifier: GPL-2.0-only
"""Guests of other architectures, and compiling for more of them."""
