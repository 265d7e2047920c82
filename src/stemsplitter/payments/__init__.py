"""Purchases of credits through Stripe Checkout."""
