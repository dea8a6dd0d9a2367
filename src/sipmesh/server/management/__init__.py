"""The control plane on the management server: publishing, certificate renewal, root rotation, status of all servers."""
