"""Cases: hits collected with notes, exported as a zip that can be verified later."""
