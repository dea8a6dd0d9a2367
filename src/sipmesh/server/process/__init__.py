"""What concerns the whole process and no single server: clock, garbage collection, memory, threads, changed files."""
