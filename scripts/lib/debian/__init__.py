# SPDX-License-Identifier: GPL-2.0-only
"""A Debian guest: its kernel's packages, its image, and what is done in it."""
