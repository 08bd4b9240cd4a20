"""One HTTP exchange: which hosts may be asked, what an error answer means, when to repeat."""
