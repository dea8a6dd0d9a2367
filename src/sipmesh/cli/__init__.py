"""The commands: what an operator types, and what is printed.

A sub-package for each group of commands: `organisation`, `topology`, `ca`, `users`, `client`, `diagnosis`. They share `place`
(where files are), `control_client` (asks running servers) and `output` (prints). A command reads its arguments, calls
one function below, and prints the result. Errors leave as `SipmeshError`; `main` prints them.
"""
