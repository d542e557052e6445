"""Which vectors of one gallery are nearest: a FaissIndex, and what makes it quick."""
