/* Which processor this is, as Linux tells it. */
#ifndef EDGEPROOF_CPU_H
#define EDGEPROOF_CPU_H

#include <stddef.h>

/* Its name, or "an unknown processor". */
void cpu_name(char *name, size_t size);

/* The instruction sets of a JSON array that it lacks, as "avx2, fma"; empty if there are none or it cannot be told. */
void cpu_lacks(const char *isa_flags, char *text, size_t size);

#endif
