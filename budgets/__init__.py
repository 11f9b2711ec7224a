"""Intent: budgets, consumption, forecasts, reservations, guardrails."""
