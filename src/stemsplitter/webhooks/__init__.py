"""Webhooks: events, deliveries and signatures."""
