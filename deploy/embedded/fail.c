#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *program_name = "detect";

void fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "%s: error: ", program_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(code);
}

void *allocate(unsigned long bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) fail(BAD_INPUT, "%lu bytes of memory cannot be had", bytes);
    return memory;
}
