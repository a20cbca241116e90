"""Firmware: releases that somebody trusted has signed, and which device shall run which."""
