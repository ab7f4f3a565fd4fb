"""What the doctor finds, in words: of what was seen at each place, without looking."""
