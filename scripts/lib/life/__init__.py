# SPDX-License-Identifier: GPL-2.0-only
"""Guests whose machine changes under load."""
