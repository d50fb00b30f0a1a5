# SPDX-License-Identifier: GPL-2.0-only
"""What is measured, how, and the plots of it."""
