"""A service in Python: what a program asks of one, and how long it goes on asking."""
