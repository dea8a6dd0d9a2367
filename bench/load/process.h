/* What processes cost, from /proc: the server's with all its descendants, our own, and the whole machine's. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>
#include <sys/types.h>

uint64_t tree_cpu_ns(pid_t root); /* user and system time of every living thread */
uint64_t tree_pss_kib(pid_t root);
uint64_t own_cpu_ns(void);
uint64_t machine_cpu_ns(void); /* in steps of 10 ms */

#endif
