"""One epoll for all links and the event loop: readiness, deadlines, the age of the input queue, file descriptors."""
