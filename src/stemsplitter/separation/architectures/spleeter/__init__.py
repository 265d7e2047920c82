"""Spleeter: two U-Nets on magnitude spectra."""
