/* The one way to stop: a line on standard error that names the thing, what was found and what was expected. */
#ifndef EDGEPROOF_FAIL_H
#define EDGEPROOF_FAIL_H

#ifdef __cplusplus
extern "C" {
#endif

enum { GATE_FAILED = 1, BAD_INPUT = 2 }; /* exit codes, those of the command line */

extern const char *program_name;

#ifdef __GNUC__
__attribute__((noreturn, format(printf, 2, 3)))
#endif
void fail(int code, const char *format, ...);

/* malloc that never returns NULL. */
void *allocate(unsigned long bytes);

#ifdef __cplusplus
}
#endif
#endif
