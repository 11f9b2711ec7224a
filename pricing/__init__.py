"""What a unit costs, when, and under which contract."""
