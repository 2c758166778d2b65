"""Flows as Hubble tells them: model, JSON form, filters, printing, and what is counted from them."""
