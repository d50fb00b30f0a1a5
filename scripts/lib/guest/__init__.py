# SPDX-License-Identifier: GPL-2.0-only
"""A guest: its machine, what is behind its devices, how it is watched."""
