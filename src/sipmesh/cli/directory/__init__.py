"""`sipmesh directory`: users from the directory of the organisation."""
