/* What the program can do; each prints one JSON object and returns the exit status. */
#ifndef MODES_H
#define MODES_H

int messages(void);
int registers(void);
int overload(void);
int calls(void);
int handshakes(void);
int idle(void);
int storm(void);
int floor_server(void);

#endif
