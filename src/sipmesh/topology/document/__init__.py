"""The topology document: YAML with line numbers, its model and schema, its checks, the files that it names."""
