"""What encoders are made of."""
