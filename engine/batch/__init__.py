"""Tables of orders: a row is an order, and the same command goes on where it was stopped."""
