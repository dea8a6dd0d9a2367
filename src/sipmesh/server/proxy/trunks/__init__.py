"""What a gateway does with its trunks besides calls: it logs in, keeps its registration, and asks whether they answer."""
