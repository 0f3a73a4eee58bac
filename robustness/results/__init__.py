"""From finished jobs to rows, means with intervals, tables and figures."""
