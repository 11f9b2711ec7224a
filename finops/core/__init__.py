"""Below all other packages: money, periods, meters, errors, and what every request carries."""
