"""What whole-network tests share: organisations in a folder, running servers, users, and peers that write what they like."""
