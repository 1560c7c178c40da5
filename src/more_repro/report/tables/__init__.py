"""Tables beyond the paper's, found by the catalogue: a module of one subject each, with its entries in `TABLES`."""
