"""Requests and approvals: asking, routing, deciding, and what time does to them. What is asked for, accounts.grants knows."""
