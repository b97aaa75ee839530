"""What is learnt: one choice from each shelf."""
