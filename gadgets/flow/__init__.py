"""What flows between the stages, and the account kept of it: time, memory, why something stood in, whoever looks on."""
