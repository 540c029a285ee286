#include "cpu.h"

#include "json.h"

#include <stdio.h>
#include <string.h>

/* What follows a key of /proc/cpuinfo, in its first line that has it; 0 if there is none. */
static int told(const char *key, char *text, size_t size) {
    static char line[1 << 14];
    FILE *file = fopen("/proc/cpuinfo", "r");
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (!value || strncmp(line, key, strlen(key))) continue;
        value += strspn(value, ": \t");
        snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
        found = 1;
    }
    if (file) fclose(file);
    return found;
}

void cpu_name(char *name, size_t size) {
    if (!told("model name", name, size) && !told("Hardware", name, size)) snprintf(name, size, "an unknown processor");
}

void cpu_lacks(const char *isa_flags, char *text, size_t size) {
    static char flags[1 << 14];
    char flag[32], wanted[36];
    size_t used = 0;
    text[0] = '\0';
    flags[0] = ' ';
    if (!told("flags", flags + 1, sizeof flags - 2) && !told("Features", flags + 1, sizeof flags - 2)) return;
    strcat(flags, " ");
    for (const char *at = json_first(isa_flags); at; at = json_next(at)) {
        if (!json_string(at, flag, sizeof flag)) continue;
        snprintf(wanted, sizeof wanted, " %s ", flag);
        if (strstr(flags, wanted) || used + strlen(flag) + 3 > size) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", flag);
    }
}
