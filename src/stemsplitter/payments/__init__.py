"""Buying credits: Stripe Checkout takes the money, and tells us by webhook."""
