"""What the doctor is made of, and how its findings are printed."""
