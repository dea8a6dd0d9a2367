"""`sipmesh topology plan` and `apply`: what a publication leads to, and the publication with its verification."""
