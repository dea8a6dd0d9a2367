"""`python -m sipmesh` is the command `sipmesh`."""

from sipmesh.cli.main import main

main()
