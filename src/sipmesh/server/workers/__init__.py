"""A server of several processes: the supervisor has the control plane, and the workers have the ports."""
