"""A query before and after it is ranked: its form, refinement, paging and verdict."""
