#include "process.h"

#include "base.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PROCESSES = 4096, MOST_IN_TREE = 256 };

/* Calls `visit` for each entry of a folder whose name is a number. */
static void each_number(const char *folder, void (*visit)(const char *folder, pid_t number, void *state), void *state) {
    DIR *open = opendir(folder);
    if (!open)
        return; /* the process ended meanwhile */
    for (struct dirent *entry; (entry = readdir(open));)
        if (isdigit((unsigned char)entry->d_name[0]))
            visit(folder, (pid_t)atoi(entry->d_name), state);
    closedir(open);
}

struct everybody {
    struct { pid_t pid, parent; } process[MOST_PROCESSES];
    size_t count;
};

static void note_parent(const char *proc, pid_t pid, void *state) {
    struct everybody *all = state;
    char path[64], line[512];
    snprintf(path, sizeof path, "%s/%d/stat", proc, (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    const char *after_name = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL; /* a name may hold anything */
    fclose(file);
    int parent;
    if (!after_name || sscanf(after_name + 1, " %*c %d", &parent) != 1)
        return;
    if (all->count == MOST_PROCESSES)
        die("more than %d processes run here", MOST_PROCESSES);
    all->process[all->count].pid = pid;
    all->process[all->count++].parent = (pid_t)parent;
}

/* Fills `tree` with the root and its descendants, parents first; returns how many. */
static size_t tree_of(pid_t root, pid_t tree[MOST_IN_TREE]) {
    static struct everybody all; /* too large for the stack */
    all.count = 0;
    each_number("/proc", note_parent, &all);
    size_t found = 0;
    tree[found++] = root;
    for (size_t parent = 0; parent < found; parent++)
        for (size_t i = 0; i < all.count; i++)
            if (all.process[i].parent == tree[parent]) {
                if (found == MOST_IN_TREE)
                    die("process %d has more than %d descendants", (int)root, MOST_IN_TREE);
                tree[found++] = all.process[i].pid;
            }
    return found;
}

static void add_thread(const char *tasks, pid_t thread, void *state) {
    char path[128];
    unsigned long long ns;
    snprintf(path, sizeof path, "%s/%d/schedstat", tasks, (int)thread);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (fscanf(file, "%llu", &ns) == 1)
        *(uint64_t *)state += ns;
    fclose(file);
}

uint64_t tree_cpu_ns(pid_t root) {
    pid_t tree[MOST_IN_TREE];
    uint64_t sum = 0;
    size_t count = tree_of(root, tree);
    for (size_t i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task", (int)tree[i]);
        each_number(path, add_thread, &sum);
    }
    return sum;
}

uint64_t tree_pss_kib(pid_t root) {
    pid_t tree[MOST_IN_TREE];
    uint64_t sum = 0;
    size_t count = tree_of(root, tree);
    for (size_t i = 0; i < count; i++) {
        char path[64], line[256];
        unsigned long long kib;
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)tree[i]);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "Pss: %llu", &kib) == 1)
                sum += kib;
        if (file)
            fclose(file);
    }
    return sum;
}

uint64_t own_cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

uint64_t machine_cpu_ns(void) {
    unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
    FILE *file = fopen("/proc/stat", "r");
    if (!file || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait,
                        &irq, &softirq, &steal) != 8)
        die("/proc/stat cannot be read");
    fclose(file);
    return (user + nice + system + irq + softirq + steal) * (NS_PER_S / (unsigned long long)sysconf(_SC_CLK_TCK));
}
