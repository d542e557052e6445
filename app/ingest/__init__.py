"""Pictures on their way in: forms of uploads, and folders with what is known of them."""
