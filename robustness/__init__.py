"""What a reconstruction is worth when something is wrong: noise, attacks, shifts, lesions, bounds, tables and figures."""
