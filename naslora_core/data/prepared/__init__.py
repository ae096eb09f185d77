"""The arrays that training reads: on disk, in memory, and whether the gate has cleared them."""
