/* The course of one run (warming up, measuring, letting what is under way come back), and what was counted in it. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long something took, in steps of 0.1 us. */
struct latencies {
    uint32_t *steps;
    size_t count, room;
};

void measure_start(void);
/* In place of these phases: what is between the two is measured. */
void measure_open(void);
void measure_close(void);
/* False before the start and while what is under way comes back: then nothing new is to be sent. */
bool load_is_on(void);
/* True between warming up and the end. */
bool load_is_measured(void);
/* Moves on to the phase that is due; `outstanding` says how much has not come back. False: the run is over. */
bool measure_goes_on(unsigned long outstanding);

/* Counts one thing done, if it ended while we measured. */
void count_done(void);
/* Keeps the time that something took which began at `begun`, if it began while we measured. */
void keep_latency(struct latencies *kept, uint64_t begun, uint64_t ended);
/* How many of them took no longer than `ns`. */
size_t within(const struct latencies *kept, uint64_t ns);
/* The same, whenever it began. */
void keep_latency_of_all(struct latencies *kept, uint64_t begun, uint64_t ended);
/* Counts something that was not as it has to be, at any time of the run; the first one is told. */
void count_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Begin, fill and end the one JSON object that a run prints. */
void report_begin(void);
void report_latencies(const char *name, struct latencies *kept);
void report_number(const char *name, double value);
void report_text(const char *name, const char *text);
/* Returns the exit status: 0 if something was done and nothing was wrong. */
int report_end(unsigned long unanswered);

#endif
