"""The books: every event, who it belongs to, what it cost, and the reports that must add up."""
