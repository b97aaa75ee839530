"""Lists for all users: made a part of them at a time, as arrays, and kept in files that a restart goes on from."""
