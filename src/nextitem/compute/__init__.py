"""Where and with which draws: processes, devices, memory, randomness."""
