"""The resources of money: budgets, limits, credit and calls."""
