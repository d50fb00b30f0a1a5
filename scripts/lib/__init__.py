# SPDX-License-Identifier: GPL-2.0-only
"""What scripts/tree.py is made of: base, series, tree, refresh, apply."""
