"""Which models embed the pictures, which one searches use, and the work of embedding them anew."""
